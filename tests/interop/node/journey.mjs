// One journey with openid-client: discovery, an authorization URL, the code exchange, userinfo, a refresh, the way out.
//
// Reads ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI and POST_LOGOUT_REDIRECT_URI from the environment. Prints
// {"authorization_url"}, reads the callback URL as one line, prints {"claims", "userinfo", "refreshed", "end_session_url"}.

import { createInterface } from 'node:readline/promises'
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI } = process.env
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

// The library relies on TLS for tokens that come straight from the token endpoint; here it verifies signatures too.
const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks]
const config = await client.discovery(
  new URL(ISSUER), CLIENT_ID, undefined, client.ClientSecretBasic(CLIENT_SECRET), { execute, timeout: 10 },
)

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const expectedNonce = client.randomNonce()
const authorizationUrl = client.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT_URI,
  scope: 'openid profile email',
  state: expectedState,
  nonce: expectedNonce,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
})
say({ authorization_url: authorizationUrl.href })

const input = createInterface({ input: process.stdin })
const [callback] = (await input[Symbol.asyncIterator]().next()).value.split('\n')
input.close()

const tokens = await client.authorizationCodeGrant(config, new URL(callback), {
  pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true,
})
const claims = tokens.claims()
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
const endSessionUrl = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token,
  post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI,
})
say({ claims, userinfo, refreshed: refreshed.claims(), end_session_url: endSessionUrl.href })
