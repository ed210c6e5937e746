// An independent identity provider: oidc-provider with PKCE required, its
// development interactions, and sign-out that clients start.
import { Provider } from "oidc-provider";

const { E2E_ISSUER: issuer, E2E_GATE: gate, E2E_SECRET: secret, E2E_CONFORM: conform } = process.env;

const groups = { ada: ["Portfolio-Managers", "Canteen"], ben: ["Accounts-ALP0001"], dan: [], olga: ["Portfolio-Managers"] };
const domains = { olga: "omega.example" };

const provider = new Provider(issuer, {
  clients: [{
    client_id: "portcullis", client_secret: secret, grant_types: ["authorization_code"], response_types: ["code"],
    redirect_uris: ["independent", "omega"].map((connection) => `${gate}/.portcullis/oidc/${connection}/callback`),
    post_logout_redirect_uris: [`${gate}/.portcullis/sign-out`],
    backchannel_logout_uri: `${gate}/.portcullis/oidc/independent/backchannel-logout`, backchannel_logout_session_required: true,
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `Independent ${id}`, email: `${id}@${domains[id] ?? "alpha.example"}`, email_verified: true, groups: groups[id] ?? [] }),
  }),
  // Whether claims of scopes are at the userinfo endpoint alone (OpenID
  // Connect Core 1.0, section 5.4) or in the ID token, too.
  conformIdTokenClaims: conform === "yes",
  // It sends logout tokens to no address on loopback unless it is told to.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, backchannelLogout: { enabled: true } },
  cookies: { keys: ["of this run alone"] },
  ttl: { AccessToken: 600, IdToken: 600, Interaction: 600, Session: 3600, Grant: 3600 },
});
for (const event of ["backchannel.success", "backchannel.error"]) {
  provider.on(event, (...told) => console.error(event, told.find((x) => x instanceof Error)?.message ?? ""));
}
provider.on("server_error", (_, error) => console.error(error));
const { hostname, port } = new URL(issuer);
provider.listen(Number(port), hostname, () => console.log("up"));
