// Everything that openid-client can do to be strict: it authenticates by a signature, pushes its requests, has its tokens bound to
// a key, asks what they are worth, and gives them back. Without a CLIENT_ID it registers itself first.
//
// Reads ISSUER, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, CLIENT_ID and PRIVATE_JWK from the environment. Prints {"registered", "authorization_url"}, reads the
// callback URL as one line, prints what came of it.

import { createInterface } from 'node:readline/promises'
import * as client from 'openid-client'

const { ISSUER, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, CLIENT_ID, PRIVATE_JWK } = process.env
const ALG = 'ES256'
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

// The library relies on TLS for tokens that come straight from the token endpoint; here it verifies signatures too.
const options = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks], timeout: 30 }
const ec = { name: 'ECDSA', namedCurve: 'P-256' }

async function known() {
  const key = await crypto.subtle.importKey('jwk', JSON.parse(PRIVATE_JWK), ec, false, ['sign'])
  const expected = { id_token_signed_response_alg: ALG }
  return client.discovery(new URL(ISSUER), CLIENT_ID, expected, client.PrivateKeyJwt({ key, kid: 'signing' }), options)
}

async function stranger() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(ec, true, ['sign', 'verify'])
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'signing', use: 'sig', alg: ALG }
  delete jwk.key_ops
  return client.dynamicClientRegistration(
    new URL(ISSUER),
    {
      client_name: 'Strict',
      redirect_uris: [REDIRECT_URI],
      post_logout_redirect_uris: [POST_LOGOUT_REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: ALG,
      jwks: { keys: [jwk] },
      id_token_signed_response_alg: ALG,
      userinfo_signed_response_alg: ALG,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    },
    client.PrivateKeyJwt({ key: privateKey, kid: 'signing' }),
    options,
  )
}

const config = await (CLIENT_ID ? known() : stranger())
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(ALG))

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const expectedNonce = client.randomNonce()
const authorizationUrl = await client.buildAuthorizationUrlWithPAR(
  config,
  {
    redirect_uri: REDIRECT_URI,
    scope: 'openid profile email',
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  },
  { DPoP },
)
say({ registered: config.clientMetadata(), authorization_url: authorizationUrl.href })

const input = createInterface({ input: process.stdin })
const [callback] = (await input[Symbol.asyncIterator]().next()).value.split('\n')
input.close()

const tokens = await client.authorizationCodeGrant(
  config, new URL(callback), { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }, undefined, { DPoP },
)
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
const before = await client.tokenIntrospection(config, refreshed.access_token)
await client.tokenRevocation(config, refreshed.refresh_token ?? tokens.refresh_token)
const after = await client.tokenIntrospection(config, refreshed.access_token)
const endSessionUrl = client.buildEndSessionUrl(config, {
  id_token_hint: refreshed.id_token ?? tokens.id_token,
  post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI,
})
say({
  claims, userinfo, token_type: tokens.token_type, refreshed_type: refreshed.token_type, refreshed: refreshed.claims(),
  before, after, end_session_url: endSessionUrl.href,
})
