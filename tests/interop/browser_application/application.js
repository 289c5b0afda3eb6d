// An application that lives in the browser. Every option of oidc-client-ts is its default but for those with a reason.
"use strict";

const here = new URL(location.href);
const settings = JSON.parse(sessionStorage.getItem("settings") ?? "{}");
for (const name of ["authority", "client_id"]) {
  if (here.searchParams.has(name)) settings[name] = here.searchParams.get(name);
}
sessionStorage.setItem("settings", JSON.stringify(settings));

const manager = new oidc.UserManager({
  ...settings,
  redirect_uri: `${here.origin}/callback`,
  silent_redirect_uri: `${here.origin}/silent`,
  post_logout_redirect_uri: `${here.origin}/signed-out`,
  scope: "openid profile email",
  // So that userinfo is called from the browser too.
  loadUserInfo: true,
  // The test compares them.
  filterProtocolClaims: false,
  // The test says when.
  automaticSilentRenew: false,
});

function show(state, known = {}) {
  document.getElementById("known").textContent = JSON.stringify(known);
  document.getElementById("state").textContent = state;
}

function showUser(state, user) {
  show(state, { profile: user.profile, access_token: user.access_token, refreshes: Boolean(user.refresh_token) });
}

async function tried(action) {
  try {
    await action();
  } catch (error) {
    show("mislukt", { error: error.error ?? String(error) });
  }
}

const actions = {
  login: () => manager.signinRedirect(),
  renew: async () => showUser("vernieuwd", await manager.signinSilent()),
  revoke: async () => {
    await manager.revokeTokens();
    show("teruggegeven");
  },
  logout: () => manager.signoutRedirect(),
};
for (const [id, action] of Object.entries(actions)) {
  document.getElementById(id).addEventListener("click", () => tried(action));
}

tried(async () => {
  if (here.pathname === "/callback") showUser("ingelogd", await manager.signinCallback());
  else if (here.pathname === "/silent") await manager.signinSilentCallback();
  else if (here.pathname === "/signed-out") show("uitgelogd", { response: await manager.signoutRedirectCallback() });
  else show("klaar");
});
