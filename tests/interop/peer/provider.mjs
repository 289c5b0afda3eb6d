// oidc-provider, configured as near to ours as its configuration goes. Reads it as JSON from the file that PEER names:
// port, issuer, clients, person, acr_values, scopes, claims, algorithms.
//
// Its pages have the same forms with the same names as ours: whoever signs in there does not notice where they are.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import Provider, { errors, interactionPolicy } from 'oidc-provider'

const peer = JSON.parse(readFileSync(process.env.PEER, 'utf8'))
const OWN = ['first_party', 'require_pkce', 'resources', 'profile']
const CODE_LIFETIME = 60
const TOKEN_LIFETIME = 300

async function jwk(alg, algorithm) {
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const { key_ops, ext, ...members } = await crypto.subtle.exportKey('jwk', privateKey)
  return { ...members, alg, kid: alg, use: 'sig' }
}

const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }
const keys = [
  await jwk('RS256', rsa),
  await jwk('PS256', { ...rsa, name: 'RSA-PSS' }),
  await jwk('ES256', { name: 'ECDSA', namedCurve: 'P-256' }),
  await jwk('EdDSA', 'Ed25519'),
]

const policy = interactionPolicy.base()
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)

async function granted(ctx) {
  const { provider, client, session, result } = ctx.oidc
  const known = result?.consent?.grantId || session.grantIdFor(client.clientId)
  if (known) return provider.Grant.find(known)
  // Nobody is asked about an application of the house.
  if (!client.first_party) return undefined
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope(client.scope)
  grant.addOIDCClaims(Object.values(peer.claims).flat())
  for (const resource of client.resources ?? []) grant.addResourceScope(resource, client.scope)
  await grant.save()
  return grant
}

async function allowed({ prompt, params, session, grantId }) {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details
  const known = grantId && (await provider.Grant.find(grantId))
  const grant = known || new provider.Grant({ clientId: params.client_id, accountId: session.accountId })
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '))
  return grant.save()
}

const provider = new Provider(peer.issuer, {
  clients: peer.clients,
  jwks: { keys },
  scopes: peer.scopes,
  claims: { acr: null, amr: null, auth_time: null, iss: null, sid: null, nonce: null, ...peer.claims },
  acrValues: peer.acr_values,
  subjectTypes: ['public', 'pairwise'],
  pairwiseIdentifier: (_ctx, accountId, client) => `${accountId}-${client.clientId}`,
  responseTypes: ['code'],
  enabledJWA: peer.algorithms,
  // Asked for by name in the claims parameter and by nothing else, claims are in the ID token.
  conformIdTokenClaims: true,
  enableHttpPostMethods: true,
  allowOmittingSingleRegisteredRedirectUri: false,
  cookies: { keys: ['of a test'], long: { httpOnly: true, sameSite: 'none' }, short: { httpOnly: true, sameSite: 'lax' } },
  extraClientMetadata: { properties: OWN, validator() {} },
  pkce: { required: (_ctx, client) => client.require_pkce !== false },
  loadExistingGrant: granted,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: (ctx) => ctx.oidc.client.clientAuthMethod === 'none',
  interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ ...peer.person.claims, sub: accountId }) }),
  ttl: {
    AccessToken: TOKEN_LIFETIME,
    AuthorizationCode: CODE_LIFETIME,
    ClientCredentials: TOKEN_LIFETIME,
    Grant: 3600,
    IdToken: TOKEN_LIFETIME,
    Interaction: 3600,
    RefreshToken: 1800,
    Session: 1800,
  },
  discovery: { ui_locales_supported: ['nl', 'en'], display_values_supported: ['page'] },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    fapi: { enabled: true, profile: (_ctx, client) => (client?.profile === 'fapi2' ? '2.0' : undefined) },
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) =>
        client.clientAuthMethod !== 'none' &&
        (client.clientId === token.clientId || (!client.grantTypes.length && client.resources?.includes(token.aud))),
    },
    jwtIntrospection: { enabled: true },
    jwtUserinfo: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    requestObjects: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Uitloggen?', `${form}${button('logout-confirm', 'logout', 'yes', 'op.logoutForm')}`)
      },
      postLogoutSuccessSource: (ctx) => {
        ctx.body = page('Uitgelogd', '')
      },
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource, client) => {
        if (!client.resources?.includes(resource)) throw new errors.InvalidTarget()
        return { scope: client.scope ?? '', audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: TOKEN_LIFETIME }
      },
    },
  },
  renderError: (ctx, out) => {
    ctx.type = 'html'
    ctx.body = page('Fout', `<p class="developer">${out.error}</p>`)
  },
  routes: {
    authorization: '/authorize',
    end_session: '/end_session',
    introspection: '/introspect',
    jwks: '/jwks',
    pushed_authorization_request: '/par',
    registration: '/register',
    revocation: '/revoke',
    token: '/token',
    userinfo: '/userinfo',
  },
})

const page = (title, body) => `<!doctype html><html lang="nl"><head><title>${title}</title></head><body>${body}</body></html>`
const button = (id, name, value, form) =>
  `<button id="${id}" name="${name}" value="${value}"${form ? ` form="${form}"` : ''}>${value}</button>`
const forms = {
  login: `${['organisation', 'username', 'password'].map((name) => `<input name="${name}">`).join('')}${button('login-submit', 'decision', 'login')}`,
  select_account: `${button('account-continue', 'account', 'continue')}`,
  consent: `${button('consent-allow', 'decision', 'allow')}${button('consent-deny', 'decision', 'deny')}`,
}

// Whoever answers is the one person there is; what they fill in is not looked at.
async function interact(request, response) {
  const interaction = await provider.interactionDetails(request, response)
  const { prompt, session } = interaction
  // Who is chosen when nobody is there yet signs in.
  const asks = prompt.name === 'select_account' && !session ? 'login' : prompt.name
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end(page(asks, `<form method="post">${forms[asks]}</form>`))
    return
  }
  const body = new URLSearchParams(await new Response(request).text())
  await provider.interactionFinished(request, response, await answer(asks, body.get('decision'), interaction))
}

async function answer(asks, decision, interaction) {
  if (decision === 'deny') return { error: 'access_denied' }
  if (asks === 'consent') return { consent: { grantId: await allowed(interaction) } }
  const login = { accountId: peer.person.sub, acr: peer.acr_values[0], amr: ['pwd'] }
  return { ...(asks === 'login' ? { login } : {}), ...(interaction.prompt.name === 'select_account' ? { select_account: {} } : {}) }
}

const callback = provider.callback()
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return callback(request, response)
  return interact(request, response).catch((error) => {
    response.writeHead(400, { 'content-type': 'text/html; charset=utf-8' })
    response.end(page(error.message, ''))
  })
}).listen(peer.port, '127.0.0.1', () => console.log('ready'))
