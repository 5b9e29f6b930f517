// A certified OAuth 2.0 and OpenID server (npm's oidc-provider) for tests, as a strict company would run it: PKCE with S256
// for every code, refresh tokens that rotate and whose reuse revokes the login (RFC 9700, 4.14), exact redirect addresses but
// for the port of a loopback (RFC 8252, 7.3), `iss` in each answer (RFC 9207).
//
//   node oidc.mjs '{"clients": [...], "accessTokenSeconds": 3600, ...}'     all that can be set is in OPTIONS
//
// It listens on 127.0.0.1, writes one line of JSON once it does ({"issuer": ...}), keeps everything in memory, and ends when
// its standard input does, so that it never outlives who started it.
//
// Beyond the standards' endpoints there are pages for people (sign in, consent, each with Cancel; a device's code), and
//   GET /test/requests    what it was asked: a list with, for each request to an endpoint, its route, status, error, ...
//   POST /test/options    changes options while it runs
//   POST /test/anew       forgets what it was asked, and has the options that it was started with

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';

import { Provider, errors } from 'oidc-provider';

const OPTIONS = {
  clients: [], // RFC 7591 metadata
  scopes: ['openid', 'offline_access', 'api'], // `email` and `profile` come with their claims
  resources: {}, // of RFC 8707: {"https://api.example": {"format": "jwt", "scope": "api"}}
  codeSeconds: 60,
  tokenDelaySeconds: 0, // how long the token endpoint takes
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 14 * 86400,
  deviceCodeSeconds: 600,
  deviceInterval: null, // seconds; null: the member is absent, which oidc-provider does and RFC 8628 allows
};

const given = { ...OPTIONS, ...JSON.parse(process.argv[2] ?? '{}') };
const options = { ...given };
const requests = [];

// ---- pages: no script, no network, so that a browser under test shows nothing but what is here

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, body) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(title)}</title>
<link rel="icon" href="data:,">
<style>:root{color-scheme:light dark}body{font:1rem/1.5 sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem}
label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit;margin:.5rem 0;padding:.4rem}</style>
</head><body><h1>${escape(title)}</h1>${body}</body></html>`;

const buttons = (yes) => `<button name="answer" value="yes">${yes}</button>
<button name="answer" value="no" formnovalidate>Cancel</button>`;

const signInPage = (client) => page('Sign in', `<p>to continue to ${escape(client)}</p><form method="post">
<label>Name <input name="name" required autofocus></label>${buttons('Sign in')}</form>`);

const consentPage = (client, scopes) => page('Allow access?', `<p>${escape(client)} asks for:</p>
<ul>${scopes.map((scope) => `<li>${escape(scope)}</li>`).join('')}</ul><form method="post">${buttons('Allow')}</form>`);

const codePage = (form, error) => page('Connect a device', `${error ? '<p role="alert">That code is wrong.</p>' : ''}
<p>Enter the code that your device shows.</p>${form}<button form="op.deviceInputForm">Continue</button>`);

const confirmPage = (client, code, form) => page('Is this your device?', `<p>${escape(client)} shows the code</p>
<p><strong>${escape(code)}</strong></p>${form}<button form="op.deviceConfirmForm">Yes</button>
<button form="op.deviceConfirmForm" name="abort" value="yes">Cancel</button>`);

// ---- the person's answers

async function interaction(ctx) {
  const asked = await provider.interactionDetails(ctx.req, ctx.res);
  const { prompt, params } = asked;
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = prompt.name === 'login'
      ? signInPage(params.client_id)
      : consentPage(params.client_id, String(params.scope ?? '').split(' '));
    return;
  }
  const answer = new URLSearchParams(await body(ctx.req));
  const result = answer.get('answer') === 'yes'
    ? await { login: signedIn, consent: allowed }[prompt.name](asked, answer)
    : { error: 'access_denied', error_description: 'The person said no' };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  ctx.respond = false; // it has answered
}

const signedIn = (asked, answer) => ({ login: { accountId: answer.get('name') } });

async function allowed({ params, prompt: { details }, session, grantId }) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope((details.missingOIDCScope ?? []).join(' '));
  grant.addOIDCClaims(details.missingOIDCClaims ?? []);
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '));
  }
  return { consent: { grantId: await grant.save() } };
}

async function body(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

// ---- what the tests see and set

async function forTests(ctx, next) {
  if (ctx.path === '/test/requests') {
    ctx.body = requests;
  } else if (ctx.path === '/test/options') {
    Object.assign(options, JSON.parse(await body(ctx.req)));
    ctx.status = 204;
  } else if (ctx.path === '/test/anew') {
    Object.assign(options, given);
    requests.length = 0;
    ctx.status = 204;
  } else if (ctx.path.startsWith('/interaction/')) {
    await interaction(ctx);
  } else {
    if (ctx.path === '/token') await setTimeout(options.tokenDelaySeconds * 1000);
    await next();
    note(ctx);
    sayInterval(ctx);
  }
}

// One entry for a request, written before its answer goes out; no token, code or secret is in it.
function note(ctx) {
  const { route, params = {}, client } = ctx.oidc ?? {};
  requests.push({
    method: ctx.method,
    path: ctx.path,
    route: route ?? null,
    status: ctx.status,
    client: client?.clientId ?? null,
    grant: params.grant_type ?? null,
    scope: params.scope ?? null,
    resource: params.resource ?? null,
    authentication: ctx.get('authorization').split(' ')[0] || null,
    error: ctx.body?.error ?? null,
    reason: ctx.state.reason ?? null, // what oidc-provider tells its operator; the answer says less
    revoked: Boolean(ctx.state.revoked), // whether this request made the server revoke a whole login
  });
}

function sayInterval(ctx) {
  if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200 && options.deviceInterval !== null) {
    ctx.body = { ...ctx.body, interval: options.deviceInterval };
  }
}

// ---- the server

function configuration() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    clients: options.clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: options.scopes,
    conformIdTokenClaims: false, // most servers put the address into the id token, whatever else they send
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@company.example`, email_verified: true, name: id }),
    }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: () => options.accessTokenSeconds,
      AuthorizationCode: () => options.codeSeconds,
      ClientCredentials: () => options.accessTokenSeconds,
      DeviceCode: () => options.deviceCodeSeconds,
      RefreshToken: () => options.refreshTokenSeconds,
      Grant: 86400 * 14,
      IdToken: 3600,
      Interaction: 600,
      Session: 86400,
    },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    renderError(ctx, out) {
      ctx.type = 'html';
      ctx.body = page('Something is wrong', `<p>${escape(out.error)}: ${escape(out.error_description)}</p>`);
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource(ctx, form, out, error) { ctx.body = codePage(form, error); },
        userCodeConfirmSource(ctx, form, client, info, code) { ctx.body = confirmPage(client.clientId, code, form); },
        successSource(ctx) { ctx.body = page('Your device is connected', '<p>You can close this page.</p>'); },
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(ctx, resource) {
          const known = options.resources[resource];
          if (!known) throw new errors.InvalidTarget();
          return { audience: resource, scope: known.scope ?? '', accessTokenFormat: known.format ?? 'opaque' };
        },
        useGrantedResource: () => true, // a token request need not name again what the sign-in named
      },
    },
  };
}

let provider;
const server = createServer((request, response) => provider.callback()(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, configuration());
  provider.use(forTests);
  for (const event of ['grant.error', 'revocation.error', 'authorization.error', 'introspection.error']) {
    provider.on(event, (ctx, error) => { ctx.state.reason = error.error_detail ?? error.error_description ?? error.message; });
  }
  provider.on('grant.revoked', (ctx) => { ctx.state.revoked = true; });
  provider.on('server_error', (ctx, error) => console.error(error));
  console.log(JSON.stringify({ issuer }));
});
process.stdin.on('end', () => process.exit(0)).resume();
