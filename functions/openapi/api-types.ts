// `npm run generate` writes this file from docs/openapi.json, whose SHA-256 is 19a7e537942a6ced7612951ea0214a4e56ba0983280c9d87d1f7e0aea5f3d608.
export interface paths {
    "/oauth/token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Exchange the ID and secret of a key for an access token
         * @description RFC 6749 §4.4. JSON with the same fields is accepted as well. `audience`, `resource` and unknown parameters are ignored; the first two may be repeated. A key with `trust` exchanges a token of a trusted issuer instead of a secret (RFC 8693).
         */
        post: operations["issueToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/introspect": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get the status and scopes of a token
         * @description RFC 7662. A key can introspect the tokens of its Deployment. Introspection does not extend the token.
         */
        post: operations["introspectToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke an access token of the key
         * @description RFC 7009. Revoking a token of another key returns the same response, and the token stays active. A key with trust rules has no secret: send only client_id and token. In that case, the call returns 401 unless the token belongs to the key.
         */
        post: operations["revokeToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/oauth-authorization-server": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the metadata of the token service
         * @description RFC 8414. The issuer is the URL that the client used.
         */
        get: operations["getMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get this OpenAPI document */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/errors": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the page that explains every error code */
        get: operations["getErrors"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/whoami": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check an access token as the authorizer does
         * @description For proxies and middleware in front of an API. The query contains the requirements of the call. A call that returns 200 counts as a use of the token; other calls do not. An invalid token gets 401, regardless of the query.
         */
        get: operations["whoAmI"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the Deployments that the caller can access
         * @description Sorted by ID. With `prefix`, the list contains only Deployments whose ID starts with the prefix.
         */
        get: operations["listDeployments"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a Deployment */
        get: operations["getDeployment"];
        /**
         * Register or change a Deployment
         * @description Only for administrators. Absent fields keep their values.
         */
        put: operations["putDeployment"];
        post?: never;
        /**
         * Delete a Deployment with its keys and tokens
         * @description Only for administrators. The Deployment’s keys and tokens stop working immediately. The service then deletes its data automatically.
         */
        delete: operations["deleteDeployment"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the keys of a Deployment
         * @description Sorted by creation time, oldest first unless `order` is `newest`.
         */
        get: operations["listApiKeys"];
        put?: never;
        /**
         * Create an API key
         * @description With the setting `maxKeyDays`, a key without `expiresAt` gets the latest allowed expiry. Returns 409 with the code `policy` for a later expiry, and for a key with a secret if the stack allows no keys with secrets.
         */
        post: operations["createApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys/{keyId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get an API key */
        get: operations["getApiKey"];
        put?: never;
        post?: never;
        /**
         * Delete an API key
         * @description The key and its tokens stop working immediately.
         */
        delete: operations["deleteApiKey"];
        options?: never;
        head?: never;
        /**
         * Edit an API key
         * @description Absent fields keep their values; `null` clears a field. Changes to scopes and allowed IP ranges apply to existing tokens at their next check. Changes to trust rules apply to the next exchange. Tokens that were issued before the key was disabled or expired stay revoked. Setting `enabled` to true reactivates an idle key. A leaked key can be disabled, so that rotating it does not enable it. A leaked key can be enabled only after a rotation with `now`. With the setting `maxKeyDays`, `"expiresAt": null` sets the latest allowed expiry, and a later expiry returns 409 with the code `policy`.
         */
        patch: operations["editApiKey"];
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys/{keyId}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Rotate the secret of an API key
         * @description `retireOld` is the number of seconds for which the old secret keeps working; the default is 7 days. With `on_first_use`, meant for a key with a single user, the old secret works until the first use of the new secret, but at most for 7 days. With `now`, the old secret stops working immediately, and all existing tokens are rejected at their next check. A key never has more than two active secrets. If the key has two, the rotation removes the newer secret if it was never used, and otherwise the older secret.
         */
        post: operations["rotateApiKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys/{keyId}/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the active access tokens of an API key
         * @description The list is not sorted by time. It omits expired and revoked tokens, so a page can be short or empty and still have `nextCursor`. Listing a token does not count as a use.
         */
        get: operations["listAccessTokens"];
        put?: never;
        post?: never;
        /**
         * Revoke all access tokens of an API key
         * @description All existing tokens are rejected at their next check. The secret and the trust rules keep working, so the key can get new tokens. Rotate the key with `now` if someone else may have its secret.
         */
        delete: operations["revokeAccessTokens"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys/{keyId}/tokens/{accessTokenId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke an access token
         * @description The token is rejected at its next check. Other tokens of the key stay valid.
         */
        delete: operations["revokeAccessToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/api-keys/{keyId}/explain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Explain why an API key accepts or rejects a CI's OIDC token
         * @description Returns the decision of the exchange: the trust rule that matches, or the differences from each rule. The response contains only `iss`, `aud`, the times and the claims that the rules name, each truncated to 256 characters, and nothing from the token unless its signature is valid. The service neither stores nor logs the token, and a rule with `singleUse` still accepts it. The response does not say whether the token was used before, and does not consider the allowed IP ranges of the key. At most 10 calls a second.
         */
        post: operations["explainSubjectToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the events of a Deployment in the last 90 days, newest first
         * @description Members see the events of the current generation. Administrators see the events of all generations, even after a deletion. `call.refused` counts the rejected calls of one caller in one hour, and is written after that hour. With `type` or `keyId`, a call reads at most 1 MB of events: a page can be short or empty and still have `nextCursor`.
         */
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/people/end-access": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a person's access
         * @description Only for administrators. From then on, the service rejects the person’s temporary tokens in every Deployment and their earlier sign-ins. With `block`, it rejects every sign-in until access is restored. A job then reports the person’s keys, or disables them with `"keys": "disable"`. Repeating the call moves the end of access forward.
         */
        post: operations["endAccess"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/people/restore-access": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Accept new sign-ins of a blocked person again
         * @description Only for administrators, who cannot restore their own access. Earlier sign-ins and temporary tokens stay rejected, and keys stay disabled.
         */
        post: operations["restoreAccess"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/people/find": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a person's access, and the keys that the job found
         * @description Only for administrators. The request has a body so that the `sub` is in no URL.
         */
        post: operations["findPerson"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/people": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the people whose access was ended
         * @description Only for administrators.
         */
        get: operations["listPeople"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/people/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the events about people in the last 90 days, newest first
         * @description Only for administrators.
         */
        get: operations["listPeopleEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/leaks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Report a leaked secret or token
         * @description Send the secret or token, or the text that contains it: quotes, white space, variable names, `Bearer` and whole lines around it do not matter. The text can have up to 32 KiB in UTF-8, with up to 20 different secrets and tokens; the service does not decode encoded text (base64, percent-encoding). A valid secret disables its key until the key is rotated with `now`. A valid token is revoked. Expired, revoked and unknown secrets and tokens change nothing. The response does not reveal which case applied. Repeating a report is harmless.
         */
        post: operations["reportLeak"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/temporary-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List temporary tokens
         * @description People see their own tokens. Administrators see all tokens of the Deployment.
         */
        get: operations["listTemporaryTokens"];
        put?: never;
        /**
         * Create a temporary token
         * @description The token is valid for 24 hours. Use does not extend it.
         */
        post: operations["createTemporaryToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/deployments/{deploymentId}/temporary-tokens/{tokenId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a temporary token */
        delete: operations["revokeTemporaryToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description ID of a Deployment, chosen by the platform. */
        DeploymentId: string;
        /** @description ID of an API key, and its OAuth `client_id`. */
        KeyId: string;
        /** @description The first 22 base64url characters of the SHA-256 hash of the access token. */
        AccessTokenId: string;
        TemporaryTokenId: string;
        /** @description Response to an exchange (RFC 6749 §5.1). Each use extends the token to 24 hours from that use. */
        Token: {
            access_token: string;
            /** @constant */
            token_type: "Bearer";
            /** @description Seconds until the token expires if it is not used. */
            expires_in: number;
            scope: components["schemas"]["Scope"];
            /**
             * @description Present only in the response to a token exchange (RFC 8693 §2.2.1).
             * @constant
             */
            issued_token_type?: "urn:ietf:params:oauth:token-type:access_token";
        };
        /** @description Scopes, separated by spaces (RFC 6749 §3.3). The first scope is always `deployment:` and the ID of the Deployment. */
        Scope: string;
        /** @description Error response of a call to `/oauth/*` (RFC 6749 §5.2). */
        OAuthError: {
            /** @description The error code, for programs. */
            error: string;
            /** @description A description of the error, for people. */
            error_description: string;
        };
        /** @description Error response of API Gateway itself, or of `/whoami`. */
        GatewayMessage: {
            message: string;
        };
        /** @description Response to an introspection (RFC 7662 §2.2). */
        Introspection: {
            /** @constant */
            active: false;
        } | {
            /** @constant */
            active: true;
            /** @description ID of the key. Absent for a temporary token, which no client requested. */
            client_id?: components["schemas"]["KeyId"];
            scope: components["schemas"]["Scope"];
            /** @description Epoch seconds: when the token expires if it is not used. */
            exp: number;
            /** @description Epoch seconds: when the token was issued. */
            iat: number;
            /** @constant */
            token_type: "Bearer";
            /** @description ID of the key, or `sub` of the person. */
            sub: string;
            /** Format: uri */
            iss: string;
            deployment_id: components["schemas"]["DeploymentId"];
            /** @description Epoch seconds of the use that last extended the token. Absent before the first extension, and for a temporary token. */
            last_used_at?: number;
            /** @description Address and client of the exchange that issued the token. The stack records both, a truncated address, or nothing. */
            issued_from?: {
                address?: string;
                client?: string;
            };
            /** @description Address and client of the last use. The stack records both, a truncated address, or nothing. */
            last_used_from?: {
                address?: string;
                client?: string;
            };
        };
        /** @description Metadata of the token service (RFC 8414 §2). */
        Metadata: {
            /** Format: uri */
            issuer: string;
            /** Format: uri */
            token_endpoint: string;
            token_endpoint_auth_methods_supported: ("client_secret_basic" | "client_secret_post")[];
            grant_types_supported: string[];
            scopes_supported: components["schemas"]["Scopes"];
            /** Format: uri */
            introspection_endpoint: string;
            introspection_endpoint_auth_methods_supported: ("client_secret_basic" | "client_secret_post")[];
            /** Format: uri */
            revocation_endpoint: string;
            revocation_endpoint_auth_methods_supported: ("client_secret_basic" | "client_secret_post")[];
        };
        /** @description Scopes that the stack defines. */
        Scopes: string[];
        /** @description The information about the caller that the authorizer passes to an API. */
        Context: {
            /** @description ID of the key, or `sub` of the person. */
            principalId: string;
            /** @enum {string} */
            principalType: "api_key" | "person";
            deploymentId: components["schemas"]["DeploymentId"];
            scope: components["schemas"]["Scope"];
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            issuedAt: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            expiresAt: string;
        };
        Deployment: {
            id: components["schemas"]["DeploymentId"];
            name: string;
            groups: string[];
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            createdAt: string;
        };
        /** @description Problem details of an error (RFC 9457). */
        Problem: {
            /** @description Relative reference to the explanation of the code: `/errors#<code>` of the stack. */
            type: string;
            title: string;
            status: number;
            /** @description The machine-readable error code. New codes may be added. */
            code: string;
            /** @description A description of the error, for people. */
            detail: string;
            /** @description The fields that break a rule. */
            errors?: {
                field: string;
                rule: string;
            }[];
        };
        ApiKeyWithSecret: {
            id: components["schemas"]["KeyId"];
            name: string;
            description: string | null;
            scopes: components["schemas"]["Scopes"];
            enabled: boolean;
            /**
             * @description `active` if the key can be used; otherwise, why it cannot be used. A key stays `leaked` until it is rotated with `now`.
             * @enum {string}
             */
            status: "active" | "leaked" | "disabled" | "expired" | "idle";
            /**
             * @description The key’s item in the table is malformed. The key gets no new tokens. While it is `active`, its existing tokens may be valid. Until someone repairs the item, the key can only be disabled or deleted.
             * @constant
             */
            malformed?: true;
            /**
             * Format: date-time
             * @description When the key was reported as leaked. Absent after a rotation with `now`.
             */
            leakedAt?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            createdAt: string;
            /** @description `sub` of the person, or the ARN of the IAM role or user. */
            createdBy: string;
            /** @description The name in the access token, if the stack stores names (setting `nameClaim`). */
            createdByName?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            expiresAt?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            lastUsedAt?: string;
            /** @description Address and client of the last use. The stack records both, a truncated address, or nothing. */
            lastUsedFrom?: {
                address?: string;
                client?: string;
            };
            /** @description Dates (UTC) of the last 90 days on which a use was recorded, oldest first. A use within `slideInterval` after the last recorded use may count for the day of that use. */
            activeDays: string[];
            /** @description Allowed IP ranges (CIDR). An empty array allows any address. */
            networks: string[];
            /** @description Which tokens the key accepts instead of a secret. A key with trust rules has no secret. */
            trust?: {
                /** Format: uri */
                issuer: string;
                audience?: string;
                claims: {
                    [key: string]: string | {
                        prefix: string;
                    };
                };
                singleUse?: boolean;
            }[];
            /** @description Rules of an earlier version that bind no tenant, by their index in `trust`. An `ignored` rule matches no token; any other rule keeps matching until it is edited. */
            unboundTrust?: {
                index: number;
                detail: string;
                ignored: boolean;
            }[];
            /** @description Rules that accept tokens from every branch of their tenant: the index of each rule in `trust`, and which claims would limit it. Absent if there are none. */
            broadTrust?: {
                index: number;
                detail: string;
            }[];
            /** @description How a key that is older than the stack’s key policy violates the policy. The key keeps working. Absent if the key violates no rule. */
            policyViolations?: ("no_expiry" | "expiry_too_late" | "secret")[];
            /** @description The active secrets, oldest first, without their values. */
            credentials: {
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                createdAt: string;
                /**
                 * Format: date-time
                 * @description When the service starts to reject this secret.
                 */
                retiresAt?: string;
                /** @description Whether the first use of the newer secret retires this secret. */
                retiresOnFirstUse?: boolean;
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                lastUsedAt?: string;
            }[];
            /** @description The `client_secret`. Only this response contains it. Absent in the response to a retry, and for a key with `trust`. */
            secret?: string;
        };
        ApiKey: {
            id: components["schemas"]["KeyId"];
            name: string;
            description: string | null;
            scopes: components["schemas"]["Scopes"];
            enabled: boolean;
            /**
             * @description `active` if the key can be used; otherwise, why it cannot be used. A key stays `leaked` until it is rotated with `now`.
             * @enum {string}
             */
            status: "active" | "leaked" | "disabled" | "expired" | "idle";
            /**
             * @description The key’s item in the table is malformed. The key gets no new tokens. While it is `active`, its existing tokens may be valid. Until someone repairs the item, the key can only be disabled or deleted.
             * @constant
             */
            malformed?: true;
            /**
             * Format: date-time
             * @description When the key was reported as leaked. Absent after a rotation with `now`.
             */
            leakedAt?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            createdAt: string;
            /** @description `sub` of the person, or the ARN of the IAM role or user. */
            createdBy: string;
            /** @description The name in the access token, if the stack stores names (setting `nameClaim`). */
            createdByName?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            expiresAt?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            lastUsedAt?: string;
            /** @description Address and client of the last use. The stack records both, a truncated address, or nothing. */
            lastUsedFrom?: {
                address?: string;
                client?: string;
            };
            /** @description Dates (UTC) of the last 90 days on which a use was recorded, oldest first. A use within `slideInterval` after the last recorded use may count for the day of that use. */
            activeDays: string[];
            /** @description Allowed IP ranges (CIDR). An empty array allows any address. */
            networks: string[];
            /** @description Which tokens the key accepts instead of a secret. A key with trust rules has no secret. */
            trust?: {
                /** Format: uri */
                issuer: string;
                audience?: string;
                claims: {
                    [key: string]: string | {
                        prefix: string;
                    };
                };
                singleUse?: boolean;
            }[];
            /** @description Rules of an earlier version that bind no tenant, by their index in `trust`. An `ignored` rule matches no token; any other rule keeps matching until it is edited. */
            unboundTrust?: {
                index: number;
                detail: string;
                ignored: boolean;
            }[];
            /** @description Rules that accept tokens from every branch of their tenant: the index of each rule in `trust`, and which claims would limit it. Absent if there are none. */
            broadTrust?: {
                index: number;
                detail: string;
            }[];
            /** @description How a key that is older than the stack’s key policy violates the policy. The key keeps working. Absent if the key violates no rule. */
            policyViolations?: ("no_expiry" | "expiry_too_late" | "secret")[];
            /** @description The active secrets, oldest first, without their values. */
            credentials: {
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                createdAt: string;
                /**
                 * Format: date-time
                 * @description When the service starts to reject this secret.
                 */
                retiresAt?: string;
                /** @description Whether the first use of the newer secret retires this secret. */
                retiresOnFirstUse?: boolean;
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                lastUsedAt?: string;
            }[];
        };
        AccessToken: {
            id: components["schemas"]["AccessTokenId"];
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            issuedAt: string;
            /**
             * Format: date-time
             * @description When the token expires if it is not used.
             */
            expiresAt: string;
            /** @description The scopes of the token. Absent if the token has all scopes of its key. */
            scope?: components["schemas"]["Scope"];
            /**
             * Format: date-time
             * @description The use that last extended the token. Absent before the first extension.
             */
            lastUsedAt?: string;
            /** @description Address and client of the last use. The stack records both, a truncated address, or nothing. */
            lastUsedFrom?: {
                address?: string;
                client?: string;
            };
        };
        Explanation: {
            /**
             * @description `active` if the key can be used; otherwise, why it cannot be used. A key stays `leaked` until it is rotated with `now`.
             * @enum {string}
             */
            status: "active" | "leaked" | "disabled" | "expired" | "idle";
            /** @description Whether at least one rule matches. */
            matches: boolean;
            rules: {
                /** @description Position of the rule in the key’s `trust`, starting at 0. */
                index: number;
                /** Format: uri */
                issuer: string;
                matches: boolean;
                /** @description How the token differs from the rule. Empty if the rule matches. */
                differences: {
                    /**
                     * @description `tenant`: a rule of an earlier version that binds no tenant, and so matches nothing.
                     * @enum {string}
                     */
                    kind: "signature" | "time" | "issuer" | "audience" | "tenant" | "claim";
                    claim?: string;
                    expected?: string | {
                        prefix: string;
                    };
                    /** @description Absent if the token does not have the claim, or its signature is invalid. A list, an object or null is shown as JSON. */
                    actual?: string;
                    /** @description A description of the difference, for people. */
                    detail: string;
                }[];
            }[];
        };
        /** @description CloudEvents 1.0, in the same form as on the event bus. */
        Event: {
            /** @constant */
            specversion: "1.0";
            /** @description The ID of the event, which is the same in every delivery. */
            id: string;
            /** @constant */
            source: "deployment-api-keys";
            type: string;
            subject: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            time: string;
            /** @constant */
            datacontenttype: "application/json";
            data: {
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description The generation of the Deployment; empty if the Deployment did not exist. */
                generation: string;
                actor: {
                    /** @description `sub` of the person, ARN of the IAM principal, name of the job, or `anonymous`. */
                    principal: string;
                    /** @description The name in the access token, if the stack stores names (setting `nameClaim`). */
                    name?: string;
                    /** @enum {string} */
                    type: "person" | "iam" | "system" | "anonymous";
                    address: string;
                    requestId: string;
                };
            } & {
                [key: string]: unknown;
            };
        };
        Person: {
            sub: string;
            /**
             * Format: date-time
             * @description The service rejects temporary tokens that were issued, and sign-ins that were made, at or before this time. Absent if access was never ended.
             */
            endedAt?: string;
            /** @description Whether the service rejects every sign-in of the person. */
            blocked: boolean;
            /** @description The job that finds the keys of the person. */
            job?: {
                /** @enum {string} */
                keys: "report" | "disable";
                /** @enum {string} */
                status: "running" | "finished";
                found: number;
                disabled: number;
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                finishedAt?: string;
            };
        };
        FoundPerson: {
            sub: string;
            /**
             * Format: date-time
             * @description The service rejects temporary tokens that were issued, and sign-ins that were made, at or before this time. Absent if access was never ended.
             */
            endedAt?: string;
            /** @description Whether the service rejects every sign-in of the person. */
            blocked: boolean;
            /** @description The job that finds the keys of the person. */
            job?: {
                /** @enum {string} */
                keys: "report" | "disable";
                /** @enum {string} */
                status: "running" | "finished";
                found: number;
                disabled: number;
                /**
                 * Format: date-time
                 * @description Time in RFC 3339 format, in UTC.
                 */
                finishedAt?: string;
            };
            keys: {
                id: components["schemas"]["KeyId"];
                name: string;
                /** @description The person created the key, received an active secret of the key, or last set its trust rules. */
                reasons: ("created" | "secret" | "trust")[];
                /** @description Whether the job disabled the key. */
                disabled: boolean;
            }[];
            /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
            nextCursor?: string;
        };
        NewTemporaryToken: {
            id: components["schemas"]["TemporaryTokenId"];
            /** @description The temporary token. Absent in the response to a retry. */
            access_token?: string;
            /** @constant */
            token_type: "Bearer";
            /** @description Seconds until the token expires if it is not used. */
            expires_in: number;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            expiresAt: string;
            scope: components["schemas"]["Scope"];
        };
        TemporaryToken: {
            id: components["schemas"]["TemporaryTokenId"];
            scope: components["schemas"]["Scope"];
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            createdAt: string;
            createdBy: string;
            /** @description The name in the access token, if the stack stores names (setting `nameClaim`). */
            createdByName?: string;
            /**
             * Format: date-time
             * @description Time in RFC 3339 format, in UTC.
             */
            expiresAt: string;
        };
    };
    responses: {
        /** @description Client authentication failed. */
        ClientRefused: {
            headers: {
                "Cache-Control"?: string;
                "WWW-Authenticate"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OAuthError"];
            };
        };
        /** @description The body must be at most 65536 bytes. */
        ClientTooLarge: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OAuthError"] | components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Too Many Requests, by API Gateway. */
        Throttled: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Something went wrong here. It has been recorded. */
        ClientFault: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OAuthError"] | components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The service is busy. Try again in a second. */
        ClientUnavailable: {
            headers: {
                "Cache-Control"?: string;
                "Retry-After"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["OAuthError"] | components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Internal Server Error, by API Gateway. */
        Fault: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Service Unavailable, by API Gateway. */
        Unavailable: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The token is missing or invalid; the `WWW-Authenticate` challenge says which. */
        TokenRefused: {
            headers: {
                "WWW-Authenticate"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Send an access token, not an ID token. */
        PersonRefused: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Something went wrong here. It has been recorded. */
        ManagementFault: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The service is busy. Try again in a second. */
        ManagementUnavailable: {
            headers: {
                "Cache-Control"?: string;
                "Retry-After"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The body must be at most 65536 bytes. */
        ManagementTooLarge: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Send the body as Content-Type: application/json. */
        NotJson: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description This Idempotency-Key came with another body before. Use a new one. */
        OtherBody: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description This IAM principal is not one of the platformPrincipals. */
        PrincipalRefused: {
            headers: {
                "Cache-Control"?: string;
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    issueToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-www-form-urlencoded": {
                    client_id?: string;
                    client_secret?: string;
                    /** @constant */
                    grant_type: "client_credentials";
                    scope?: string;
                    audience?: string | string[];
                    resource?: string | string[];
                } | {
                    client_id: string;
                    /** @constant */
                    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange";
                    subject_token: string;
                    /** @enum {string} */
                    subject_token_type: "urn:ietf:params:oauth:token-type:jwt" | "urn:ietf:params:oauth:token-type:id_token";
                    /** @constant */
                    requested_token_type?: "urn:ietf:params:oauth:token-type:access_token";
                    scope?: string;
                    audience?: string | string[];
                    resource?: string | string[];
                };
                "application/json": {
                    client_id?: string;
                    client_secret?: string;
                    /** @constant */
                    grant_type: "client_credentials";
                    scope?: string;
                    audience?: string | string[];
                    resource?: string | string[];
                } | {
                    client_id: string;
                    /** @constant */
                    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange";
                    subject_token: string;
                    /** @enum {string} */
                    subject_token_type: "urn:ietf:params:oauth:token-type:jwt" | "urn:ietf:params:oauth:token-type:id_token";
                    /** @constant */
                    requested_token_type?: "urn:ietf:params:oauth:token-type:access_token";
                    scope?: string;
                    audience?: string | string[];
                    resource?: string | string[];
                };
            };
        };
        responses: {
            /** @description An access token. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    Pragma?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Token"];
                };
            };
            /** @description scope is malformed, or requests a scope that the key does not have. */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OAuthError"];
                };
            };
            401: components["responses"]["ClientRefused"];
            413: components["responses"]["ClientTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ClientFault"];
            503: components["responses"]["ClientUnavailable"];
        };
    };
    introspectToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-www-form-urlencoded": {
                    client_id?: string;
                    client_secret?: string;
                    token: string;
                    token_type_hint?: string;
                };
            };
        };
        responses: {
            /** @description The token, or `{"active":false}`. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Introspection"];
                };
            };
            /** @description token is missing. */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OAuthError"];
                };
            };
            401: components["responses"]["ClientRefused"];
            413: components["responses"]["ClientTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ClientFault"];
            503: components["responses"]["ClientUnavailable"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-www-form-urlencoded": {
                    client_id?: string;
                    client_secret?: string;
                    token: string;
                    token_type_hint?: string;
                };
            };
        };
        responses: {
            /** @description The token is revoked if it belongs to this key. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description token is missing. */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OAuthError"];
                };
            };
            401: components["responses"]["ClientRefused"];
            413: components["responses"]["ClientTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ClientFault"];
            503: components["responses"]["ClientUnavailable"];
        };
    };
    getMetadata: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The metadata. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Metadata"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Unavailable"];
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The OpenAPI document. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Unavailable"];
        };
    };
    getErrors: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page with a section for each error code. The code is the fragment of the section. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Unavailable"];
        };
    };
    whoAmI: {
        parameters: {
            query?: {
                /** @description The scopes that the token must have, separated by spaces. The stack must define each scope. */
                scope?: string;
                /** @description ID of the Deployment that the token must belong to. */
                deployment?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The holder of the token. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    "X-Deployment-Id"?: string;
                    "X-Principal-Id"?: string;
                    "X-Scope"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Context"];
                };
            };
            /** @description A parameter is unknown, empty or repeated, or the stack has no such scope. */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GatewayMessage"];
                };
            };
            401: components["responses"]["TokenRefused"];
            /** @description The token lacks a scope, or belongs to another Deployment. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    "WWW-Authenticate"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GatewayMessage"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Unavailable"];
        };
    };
    listDeployments: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
                prefix?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of Deployments. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Deployment"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    getDeployment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The Deployment. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deployment"];
                };
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    putDeployment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    name?: string;
                    groups?: string[];
                };
            };
        };
        responses: {
            /** @description The Deployment was changed. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deployment"];
                };
            };
            /** @description The Deployment was registered. */
            201: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deployment"];
                };
            };
            /** @description name must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Other calls keep changing this Deployment. Try again. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    deleteDeployment: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The Deployment was deleted. */
            204: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description This Deployment comes from a table of the platform. Change or delete it there. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    listApiKeys: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
                order?: "oldest" | "newest";
            };
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of API keys. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["ApiKey"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    createApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description Identifies this call for 24 hours. A retry with the same Idempotency-Key creates nothing. The retry gets the response to the first call, with `Idempotent-Replayed: true` and without the secret. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    name: string;
                    description?: string | null;
                    scopes?: string[];
                    /** Format: date-time */
                    expiresAt?: string;
                    networks?: string[];
                    trust?: {
                        issuer: string;
                        audience?: string;
                        claims: {
                            [key: string]: string | {
                                prefix: string;
                            };
                        };
                        singleUse?: boolean;
                    }[];
                };
            };
        };
        responses: {
            /** @description The key, with its secret. */
            201: {
                headers: {
                    "Cache-Control"?: string;
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKeyWithSecret"];
                };
            };
            /** @description name must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description A Deployment has at most 1000 keys. Delete one first. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            422: components["responses"]["OtherBody"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    getApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    deleteApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The key was deleted. */
            204: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    editApiKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    name?: string;
                    description?: string | null;
                    scopes?: string[];
                    enabled?: boolean;
                    expiresAt?: string | null;
                    networks?: string[];
                    trust?: {
                        issuer: string;
                        audience?: string;
                        claims: {
                            [key: string]: string | {
                                prefix: string;
                            };
                        };
                        singleUse?: boolean;
                    }[];
                };
            };
        };
        responses: {
            /** @description The key. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description name must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Someone else is changing this key. Try again. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    rotateApiKey: {
        parameters: {
            query?: never;
            header?: {
                /** @description Identifies this call for 24 hours. A retry with the same Idempotency-Key creates nothing. The retry gets the response to the first call, with `Idempotent-Replayed: true` and without the secret. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @default 604800 */
                    retireOld?: "on_first_use" | "now" | number;
                };
            };
        };
        responses: {
            /** @description The key, with its new secret. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKeyWithSecret"];
                };
            };
            /** @description name must be 1 to 100 characters, without control, zero-width and bidirectional formatting characters, and without white space at the start or end */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description This key leaked. Rotate it with retireOld "now". */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            422: components["responses"]["OtherBody"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    listAccessTokens: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of access tokens. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["AccessToken"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    revokeAccessTokens: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tokens were revoked. */
            204: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    revokeAccessToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
                /** @description The first 22 base64url characters of the SHA-256 hash of the access token. */
                accessTokenId: components["schemas"]["AccessTokenId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The token was revoked. */
            204: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such access token. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    explainSubjectToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                /** @description ID of an API key, and its OAuth `client_id`. */
                keyId: components["schemas"]["KeyId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    subject_token: string;
                };
            };
        };
        responses: {
            /** @description The decision about each rule. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Explanation"];
                };
            };
            /** @description subject_token must be a JWT of 1 to 16384 characters */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such API key. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description This key has a secret and no trust rules, so it accepts no token of a CI. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    listEvents: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
                type?: "deployment.registered" | "deployment.edited" | "deployment.deleted" | "deployment.purged" | "deployment.restored" | "api_key.created" | "api_key.edited" | "api_key.rotated" | "api_key.secret_retired" | "api_key.secret_retiring" | "api_key.disabled" | "api_key.enabled" | "api_key.deleted" | "api_key.leaked" | "api_key.expiring" | "api_key.expired" | "api_key.idle" | "api_key.trust_unbound" | "api_key.policy_violated" | "api_key.tokens_revoked" | "call.refused" | "token.revoked" | "token.leaked" | "temporary_token.leaked" | "temporary_token.issued" | "temporary_token.revoked" | "person.access_ended" | "person.access_restored" | "person.keys_found" | "person.erased";
                keyId?: string;
            };
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of events. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Event"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    endAccess: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    sub: string;
                    /**
                     * @default report
                     * @enum {string}
                     */
                    keys?: "report" | "disable";
                    /** @default false */
                    block?: boolean;
                };
            };
        };
        responses: {
            /** @description Access is ended, and the job starts. */
            202: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Person"];
                };
            };
            /** @description sub must be 1 to 255 printable ASCII characters */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Other calls keep changing this person's access. Try again. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    restoreAccess: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    sub: string;
                };
            };
        };
        responses: {
            /** @description The access of the person. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Person"];
                };
            };
            /** @description sub must be 1 to 255 printable ASCII characters */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description You cannot restore your own access. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    findPerson: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    sub: string;
                    /** @default 100 */
                    limit?: number;
                    cursor?: string;
                };
            };
        };
        responses: {
            /** @description The access and the keys of the person. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FoundPerson"];
                };
            };
            /** @description sub must be 1 to 255 printable ASCII characters */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The record of this person is malformed. End the person's access again first. */
            409: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    listPeople: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of people. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["Person"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    listPeopleEvents: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of events. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: {
                            /** @constant */
                            specversion: "1.0";
                            /** @description The ID of the event, which is the same in every delivery. */
                            id: string;
                            /** @constant */
                            source: "deployment-api-keys";
                            type: string;
                            subject: string;
                            /**
                             * Format: date-time
                             * @description Time in RFC 3339 format, in UTC.
                             */
                            time: string;
                            /** @constant */
                            datacontenttype: "application/json";
                            data: {
                                sub: string;
                                actor: {
                                    principal: string;
                                    /** @description The name in the access token, if the stack stores names (setting `nameClaim`). */
                                    name?: string;
                                    /** @enum {string} */
                                    type: "person" | "iam" | "system" | "anonymous";
                                    address: string;
                                    requestId: string;
                                };
                            } & {
                                [key: string]: unknown;
                            };
                        }[];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description Only an administrator may do this. */
            403: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    reportLeak: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    credential: string;
                };
            };
        };
        responses: {
            /** @description The service has handled every secret and token in the text. */
            202: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description credential must contain a secret (dks_…) or token (dkt_…, dkx_…), complete and not encoded */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body must be at most 65536 bytes. */
            413: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Send the body as Content-Type: application/json. */
            415: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Unavailable"];
        };
    };
    listTemporaryTokens: {
        parameters: {
            query?: {
                limit?: number;
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of temporary tokens. */
            200: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        items: components["schemas"]["TemporaryToken"][];
                        /** @description Send this value as `cursor` to get the next page. Absent on the last page. A page can be short or empty and still have a cursor. */
                        nextCursor?: string;
                    };
                };
            };
            /** @description limit must be a whole number from 1 to 100 */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    createTemporaryToken: {
        parameters: {
            query?: never;
            header?: {
                /** @description Identifies this call for 24 hours. A retry with the same Idempotency-Key creates nothing. The retry gets the response to the first call, with `Idempotent-Replayed: true` and without the secret. */
                "Idempotency-Key"?: string;
            };
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    scopes?: string[];
                };
            };
        };
        responses: {
            /** @description The token. */
            201: {
                headers: {
                    "Cache-Control"?: string;
                    Location?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewTemporaryToken"];
                };
            };
            /** @description scopes must be an array of 1 to 16 scopes */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such Deployment. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["ManagementTooLarge"];
            415: components["responses"]["NotJson"];
            422: components["responses"]["OtherBody"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
    revokeTemporaryToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description ID of a Deployment, chosen by the platform. */
                deploymentId: components["schemas"]["DeploymentId"];
                tokenId: components["schemas"]["TemporaryTokenId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The token was revoked. */
            204: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description deploymentId must be 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit */
            400: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            401: components["responses"]["PersonRefused"];
            /** @description No such temporary token. */
            404: {
                headers: {
                    "Cache-Control"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            429: components["responses"]["Throttled"];
            500: components["responses"]["ManagementFault"];
            503: components["responses"]["ManagementUnavailable"];
        };
    };
}
