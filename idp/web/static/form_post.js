/* Sends the one form of the form_post page; without a script its button does the same. */
"use strict";
document.getElementById("form-post").submit();
