/* The page goes on by itself when its frames are loaded; an application that does not answer keeps nobody waiting. */
"use strict";
setTimeout(function () {
  location.replace(document.getElementById("leave-link").href);
}, 4000);
