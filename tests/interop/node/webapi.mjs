// Everything that oauth4webapi can do at a provider of ours, step by step: each answer is judged by the library before its
// values are used. Without a CLIENT_ID it registers itself first. With a RESOURCE it is that resource server, too: it judges
// access tokens that are JWTs by itself.
//
// Reads ISSUER, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, CLIENT_ID, PRIVATE_JWK, RESOURCE and OWN_SCOPE from the environment.
// Prints {"registered", "authorization_url"}, reads the callback URL as one line, prints what came of it.

import { createInterface } from 'node:readline/promises'
import * as oauth from 'oauth4webapi'

const { ISSUER, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, CLIENT_ID, PRIVATE_JWK, RESOURCE, OWN_SCOPE } = process.env
const ALG = 'ES256'
const MAX_AGE = 300
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

// The one check that is relaxed: the library speaks https only, and the provider of a test is http on this machine.
const relaxed = { [oauth.allowInsecureRequests]: true }

const issuer = new URL(ISSUER)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, relaxed))

async function known() {
  const ec = { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('jwk', JSON.parse(PRIVATE_JWK), ec, false, ['sign'])
  return [{ client_id: CLIENT_ID, id_token_signed_response_alg: ALG }, key]
}

async function stranger() {
  const { privateKey, publicKey } = await oauth.generateKeyPair(ALG, { extractable: true })
  const { key_ops, ext, ...jwk } = await crypto.subtle.exportKey('jwk', publicKey)
  const response = await oauth.dynamicClientRegistrationRequest(
    as,
    {
      client_name: 'Step by step',
      redirect_uris: [REDIRECT_URI],
      post_logout_redirect_uris: [POST_LOGOUT_REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: ALG,
      jwks: { keys: [{ ...jwk, kid: 'signing', use: 'sig', alg: ALG }] },
      id_token_signed_response_alg: ALG,
      userinfo_signed_response_alg: ALG,
      introspection_signed_response_alg: ALG,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    },
    relaxed,
  )
  return [await oauth.processDynamicClientRegistrationResponse(response), privateKey]
}

const [client, key] = await (CLIENT_ID ? known() : stranger())
// The issuer is the audience of every assertion (FAPI 2.0 Security Profile 5.3.2.1), which is what the library does anyway.
const clientAuth = oauth.PrivateKeyJwt({ key, kid: 'signing' })
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(ALG))
const options = { ...relaxed, DPoP }

// A provider that wants a nonce of its own says so once, and gives the next one with each answer (RFC 9449 8.2).
let retries = 0
async function judged(request, judge) {
  try {
    return await judge(await request())
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    retries += 1
    return judge(await request())
  }
}

// The library relies on TLS for what comes straight from an endpoint; here it verifies the signatures of JWTs as well.
async function withSignature(response, found) {
  await oauth.validateApplicationLevelSignature(as, response, relaxed)
  return found
}

async function atHash(accessToken) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(accessToken))
  return Buffer.from(digest.slice(0, 16)).toString('base64url')
}

const codeVerifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const parameters = new URLSearchParams({
  response_type: 'code',
  redirect_uri: REDIRECT_URI,
  scope: 'openid profile email',
  state,
  nonce,
  max_age: String(MAX_AGE),
  code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
  code_challenge_method: 'S256',
  ...(RESOURCE ? { resource: RESOURCE } : {}),
})
const pushed = await judged(
  () => oauth.pushedAuthorizationRequest(as, client, clientAuth, parameters, options),
  (response) => oauth.processPushedAuthorizationResponse(as, client, response),
)
const authorizationUrl = new URL(as.authorization_endpoint)
authorizationUrl.search = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
say({ registered: client, authorization_url: authorizationUrl.href })

const input = createInterface({ input: process.stdin })
const [callback] = (await input[Symbol.asyncIterator]().next()).value.split('\n')
input.close()

const arrived = oauth.validateAuthResponse(as, client, new URL(callback), state)
const tokens = await judged(
  () =>
    oauth.authorizationCodeGrantRequest(as, client, clientAuth, arrived, REDIRECT_URI, codeVerifier, {
      // The first access token is for userinfo, the next for the resource server (RFC 8707 2.2).
      ...options, additionalParameters: RESOURCE ? { resource: ISSUER } : {},
    }),
  async (response) =>
    withSignature(
      response,
      await oauth.processAuthorizationCodeResponse(as, client, response, {
        expectedNonce: nonce,
        maxAge: MAX_AGE,
        requireIdToken: true,
      }),
    ),
)
const claims = oauth.getValidatedIdTokenClaims(tokens)
if (claims.at_hash !== (await atHash(tokens.access_token))) throw new Error('at_hash is that of another access token')

const userinfo = await judged(
  () => oauth.userInfoRequest(as, client, tokens.access_token, options),
  async (response) => {
    const found = await oauth.processUserInfoResponse(as, client, claims.sub, response)
    return response.headers.get('content-type').startsWith('application/jwt') ? withSignature(response, found) : found
  },
)

const refreshed = await judged(
  () => oauth.refreshTokenGrantRequest(as, client, clientAuth, tokens.refresh_token, options),
  async (response) => withSignature(response, await oauth.processRefreshTokenResponse(as, client, response)),
)

async function introspected(token, requestJwtResponse) {
  const response = await oauth.introspectionRequest(as, client, clientAuth, token, { ...relaxed, requestJwtResponse })
  const found = await oauth.processIntrospectionResponse(as, client, response)
  return requestJwtResponse ? withSignature(response, found) : found
}

// A resource server of its own: no request leaves this process, and what the library says of the token is the answer.
async function atResource(accessToken) {
  async function served(address, request) {
    const said = await oauth.validateJwtAccessToken(as, new Request(address, request), RESOURCE, {
      ...relaxed,
      requireDPoP: true,
      signingAlgorithms: [ALG],
    })
    return Response.json(said)
  }
  const response = await oauth.protectedResourceRequest(
    accessToken, 'GET', new URL('/orders?page=2', RESOURCE), undefined, undefined, { DPoP, [oauth.customFetch]: served },
  )
  return response.json()
}

let atResourceServer
if (RESOURCE) {
  const forResource = (request) => judged(request, (response) => oauth.processRefreshTokenResponse(as, client, response))
  const ofPerson = await forResource(() =>
    oauth.refreshTokenGrantRequest(as, client, clientAuth, tokens.refresh_token, {
      ...options, additionalParameters: { resource: RESOURCE },
    }),
  )
  const own = await judged(
    () => oauth.clientCredentialsGrantRequest(as, client, clientAuth, { scope: OWN_SCOPE, resource: RESOURCE }, options),
    (response) => oauth.processClientCredentialsResponse(as, client, response),
  )
  atResourceServer = { person: await atResource(ofPerson.access_token), own: await atResource(own.access_token) }
}

const before = await introspected(refreshed.access_token, true)
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, clientAuth, refreshed.refresh_token ?? tokens.refresh_token, relaxed),
)
const after = await introspected(refreshed.access_token, Boolean(client.introspection_signed_response_alg))

const endSessionUrl = new URL(as.end_session_endpoint)
endSessionUrl.search = new URLSearchParams({
  id_token_hint: refreshed.id_token ?? tokens.id_token,
  post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI,
  state,
})
say({
  claims, userinfo, token_type: tokens.token_type, refreshed: oauth.getValidatedIdTokenClaims(refreshed),
  refreshed_type: refreshed.token_type, before, after, at_resource_server: atResourceServer, retries, state,
  end_session_url: endSessionUrl.href,
})
