/** Mutants that no test can detect because they behave like the original source. Each has a reason. */
export interface Equivalent {
  file: string;
  /** The source line on which the mutants begin. */
  line: string;
  /** The mutants, as `npm run verify:mutation` prints them. */
  mutants: string[];
  why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    file: 'functions/domain/check.ts',
    line: 'const recorded = isUseDue(records.key?.lastUsedAt, before)',
    mutants: ['OptionalChaining: records.key?.lastUsedAt → records.key.lastUsedAt'],
    why: 'A token passes the check only if its key was read.',
  },
  {
    file: 'functions/domain/deployments-source.ts',
    line: "if (number !== undefined && /^\\d{1,40}$/.test(number)) return number.padStart(40, '0');",
    mutants: ['ConditionalExpression: number !== undefined → true'],
    why: 'A pattern is tried on the text `undefined`, which is no number.',
  },
  {
    file: 'functions/domain/credentials.ts',
    line: 'return deploymentId && ulid ? { deploymentId, ulid } : undefined;',
    mutants: ['LogicalOperator: deploymentId && ulid → deploymentId || ulid'],
    why: 'The groups of a match are all there or none is: the rest is for the type checker.',
  },
  {
    file: 'functions/domain/credentials.ts',
    line: 'if (!prefix || !deploymentId || !ulid) return undefined;',
    mutants: [
      'LogicalOperator: !prefix || !deploymentId || !ulid → (!prefix || !deploymentId) && !ulid',
      'ConditionalExpression: !prefix || !deploymentId → false',
      'LogicalOperator: !prefix || !deploymentId → !prefix && !deploymentId',
    ],
    why: 'The groups of a match are all there or none is: the rest is for the type checker.',
  },
  {
    file: 'functions/domain/check.ts',
    line: 'return validUntil !== undefined && validUntil <= now;',
    mutants: ['ConditionalExpression: validUntil !== undefined → true'],
    why: '`undefined <= now` is false as well.',
  },
  {
    file: 'functions/domain/replay.ts',
    line: "part !== null && typeof part === 'object' && !Array.isArray(part)",
    mutants: ['ConditionalExpression: part !== null → true'],
    why: 'No compared field of a key contains null.',
  },
  {
    file: 'functions/domain/key-policy.ts',
    line: 'if (latest === undefined) return wanted;',
    mutants: ['ConditionalExpression: latest === undefined → false'],
    why: 'A comparison with undefined is false, so the function returns the requested expiry in both cases.',
  },
  {
    file: 'functions/domain/people.ts',
    line: 'return endedAt !== undefined && signedInAt * 1000 <= endedAt + TOLERANCE;',
    mutants: ['ConditionalExpression: endedAt !== undefined → true'],
    why: 'The sum with undefined is NaN, and no time is `<=` NaN.',
  },
  {
    file: 'functions/domain/key-status.ts',
    line: 'return maxIdleDays !== undefined && now - activeAt(key) >= maxIdleDays * DAY;',
    mutants: ['ConditionalExpression: maxIdleDays !== undefined → true'],
    why: 'The product with undefined is NaN, and nothing is `>=` NaN.',
  },
  {
    file: 'functions/domain/key-notices.ts',
    line: "if (validUntil === undefined || (status !== 'expired' && status !== 'active')) return undefined;",
    mutants: ['ConditionalExpression: validUntil === undefined → false'],
    why: 'A key without an expiry is never `expired`, and its rest to run is NaN, which is `<=` nothing.',
  },
  {
    file: 'functions/domain/networks.ts',
    line: "const [address = '', length = '', ...rest] = text.split('/');",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: '`split` gives one part at least: the default never stands in. A length of another text than digits is rejected as an empty one is.',
  },
  {
    file: 'functions/domain/networks.ts',
    line: "const [base = '', length] = network.split('/');",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: '`split` gives one part at least: the default never stands in.',
  },
  {
    file: 'functions/domain/networks.ts',
    line: "bits?.startsWith(prefix?.slice(0, Number(length)) ?? '-') === true",
    mutants: [
      `StringLiteral: '-' → ""`,
      'OptionalChaining: bits?.startsWith → bits.startsWith',
      'OptionalChaining: prefix?.slice → prefix.slice',
    ],
    why: 'What is a network has a base that is an address, and the lengths have been found equal.',
  },
  {
    file: 'functions/domain/networks.ts',
    line: "const bits = bitsOf(address ?? '');",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is an address.',
  },
  {
    file: 'functions/domain/networks.ts',
    line: 'bits?.length === prefix?.length &&',
    mutants: ['OptionalChaining: prefix?.length → prefix.length'],
    why: 'What is a network has a base that is an address.',
  },
  {
    file: 'functions/domain/scopes.ts',
    line: "const [route = '', words, ...rest] = rule.split('=');",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: '`split` gives one part at least: the default never stands in.',
  },
  {
    file: 'functions/domain/scopes.ts',
    line: `return path === undefined ? undefined : (required.get(method + path) ?? required.get(\`ANY\${path}\`));`,
    mutants: ['ConditionalExpression: path === undefined → false'],
    why: 'No route is called by a method and the text `undefined`.',
  },
  {
    file: 'functions/domain/credentials.ts',
    line: 'if (text.length < SHORTEST || parseKeyId(text)) return text;',
    mutants: ['ConditionalExpression: text.length < SHORTEST → false'],
    why: 'No pattern matches such a short text. The condition only saves time.',
  },
  {
    file: 'functions/domain/subject-token.ts',
    line: 'const [header, payload] = parts.slice(0, 2).map(objectIn);',
    mutants: ['MethodExpression: parts.slice(0, 2) → parts'],
    why: 'The mutant also tries to parse the signature, but nothing uses the result.',
  },
  {
    file: 'functions/domain/subject-token.ts',
    line: '} catch {',
    mutants: ['BlockStatement: { return undefined; } → {}'],
    why: 'A function without a return statement returns undefined too.',
  },
  {
    file: 'functions/domain/subject-decision.ts',
    line: 'Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));',
    mutants: ['EqualityOperator: one < other → one <= other'],
    why: 'An object never has two claims with the same name.',
  },
  {
    file: 'functions/routes/authorize.ts',
    line: 'return Object.values(route?.parameters ?? {}).some((value) => detour.test(String(value)));',
    mutants: ['OptionalChaining: route?.parameters → route.parameters'],
    why: 'The function is called only if the route names a Deployment, so there is a route.',
  },
  {
    file: 'functions/routes/authorize.ts',
    line: "return BEARER.exec(authorization ?? '')?.[1];",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is a bearer token.',
  },
  {
    file: 'functions/http/body.ts',
    line: "return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';",
    mutants: [
      `StringLiteral: '' → "Stryker was here!"`,
      "OptionalChaining: (headers['content-type'] ?? '').split(';', 1)[0]?.trim → (headers['content-type'] ?? '').split(';', 1)[0].trim",
    ],
    why: '`split` gives one part at least: the default never stands in.',
  },
  {
    file: 'functions/http/body.ts',
    line: "const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');",
    mutants: [`StringLiteral: 'utf8' → ""`],
    why: 'UTF-8 is the default encoding of Buffer.',
  },
  {
    file: 'functions/http/management.ts',
    line: 'function callerOf(event: ManagementEvent, { people, platformPrincipals = [] }: Callers): Person {',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'A text that is no ARN is nobody.',
  },
  {
    file: 'functions/http/management.ts',
    line: 'if (header === undefined || /^[!-+\\--~]{1,255}$/.test(header)) return header;',
    mutants: ['ConditionalExpression: header === undefined → false'],
    why: 'A pattern is tried on the text `undefined`, which fits it: the answer is undefined in both cases.',
  },
  {
    file: 'functions/http/management.ts',
    line: "if (event.body?.includes('\\uFFFD')) {",
    mutants: ['OptionalChaining: event.body?.includes → event.body.includes'],
    why: 'The previous line has rejected a request without a body.',
  },
  {
    file: 'functions/http/oauth.ts',
    line: 'const pairs = isObject ? Object.entries(fields as object).filter((pair) => !isRepeatedInJson(pair)) : [];',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'What is no object is rejected in the next line.',
  },
  {
    file: 'functions/http/oauth.ts',
    line: 'const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'The first element is the whole match, which nothing takes; the others stay undefined.',
  },
  {
    file: 'functions/http/oauth.ts',
    line: 'if (clientId === undefined || clientSecret === undefined) throw malformed();',
    mutants: [
      'ConditionalExpression: clientId === undefined || clientSecret === undefined → false',
      'LogicalOperator: clientId === undefined || clientSecret === undefined → clientId === undefined && clientSecret === undefined',
      'ConditionalExpression: clientId === undefined → false',
      'ConditionalExpression: clientSecret === undefined → false',
    ],
    why: 'What did not match has no text to decode, and that error is caught and rejected likewise.',
  },
  {
    file: 'functions/http/oauth.ts',
    line: "strings.flatMap(({ groups = {} }) => (groups.colon ? [JSON.parse(groups.string ?? '')] : [])),",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Every match has the group `string`. The default is only for the type checker.',
  },
  {
    file: 'functions/http/oauth.ts',
    line: "/^(?<clientId>[^:]*):(?<clientSecret>.*)$/s.exec(Buffer.from(encoded, 'base64').toString())?.groups ?? {};",
    mutants: [
      'Regex: /^(?<clientId>[^:]*):(?<clientSecret>.*)$/s → /(?<clientId>[^:]*):(?<clientSecret>.*)$/s',
      'Regex: /^(?<clientId>[^:]*):(?<clientSecret>.*)$/s → /^(?<clientId>[^:]*):(?<clientSecret>.*)/s',
    ],
    why: 'Text with a colon matches from its first character, and `.*` with the flag `s` always reaches its last.',
  },
  {
    file: 'functions/http/parameters.ts',
    line: 'const name = String(result.error.issues[0]?.path[0]);',
    mutants: ['OptionalChaining: result.error.issues[0]?.path → result.error.issues[0].path'],
    why: 'What failed has an issue.',
  },
  {
    file: 'functions/http/person.ts',
    line: 'const hasAdminScope = config.adminScope !== undefined && scopesOf(claims).includes(config.adminScope);',
    mutants: ['ConditionalExpression: config.adminScope !== undefined → true'],
    why: 'All scopes are texts: undefined is none of them.',
  },
  {
    file: 'functions/http/person.ts',
    line: 'const isInAdminGroup = config.adminGroup !== undefined && groups.includes(config.adminGroup);',
    mutants: ['ConditionalExpression: config.adminGroup !== undefined → true'],
    why: 'All groups are texts: undefined is none of them.',
  },
  {
    file: 'functions/http/person.ts',
    line: "function partsOf(authorization = ''): [Claims?, Claims?] {",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is a bearer token.',
  },
  {
    file: 'functions/http/person.ts',
    line: 'if (!header || !payload) return [];',
    mutants: [
      'ConditionalExpression: !header || !payload → false',
      'LogicalOperator: !header || !payload → !header && !payload',
    ],
    why: 'What did not match has no text to decode, and that error is caught and rejected likewise.',
  },
  {
    file: 'functions/http/person.ts',
    line: 'return [];',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'A header without claims is rejected as neither is.',
  },
  {
    file: 'functions/http/person.ts',
    line: 'if (!header || !payload) return [];',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'A header without claims is rejected as neither is.',
  },
  {
    file: 'functions/http/person.ts',
    line: "const areValid = times.every((time) => typeof time === 'number' && time >= 0 && time <= LATEST);",
    mutants: ['EqualityOperator: time >= 0 → time > 0'],
    why: 'If a time is 0, the earliest valid time is 0, which is also the result for invalid times.',
  },
  {
    file: 'functions/http/query.ts',
    line: 'const known = PARAMETERS.get(routeKey) ?? [];',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'The mutant accepts only one more parameter, with a name that no client sends.',
  },
  {
    file: 'functions/http/schemas.ts',
    line: "const names = typeof claims === 'object' && claims !== null ? Object.keys(claims) : [];",
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'The next line keeps only reserved names.',
  },
  {
    file: 'functions/http/schemas.ts',
    line: `context.issues.push({ code: 'custom', input: claims, message: \`must not name the claim \${name}\` });`,
    mutants: [`StringLiteral: 'custom' → ""`],
    why: 'The issue has its own message, and the service uses a code only to recognize unknown fields.',
  },
  {
    file: 'functions/domain/allowed-characters.ts',
    line: 'if (text.length > 2 * most) return false;',
    mutants: ['ConditionalExpression: text.length > 2 * most → false'],
    why: 'The line only saves time. Text that is longer has more characters than allowed, which the count also finds.',
  },
  {
    file: 'functions/table/sdk-transport.ts',
    line: 'const isDamaged = (status !== undefined && status < 300) || error instanceof SyntaxError;',
    mutants: ['ConditionalExpression: status !== undefined → true'],
    why: 'undefined is neither `<` nor `>=` a number.',
  },
  {
    file: 'functions/table/retried-calls.ts',
    line: 'yield { items: page.Items ?? [], next };',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'DynamoDB answers a Query or Scan with Items always, if none.',
  },
  {
    file: 'functions/table/idempotency.ts',
    line: 'return record !== undefined && rejected.at(-1)?.failed === true;',
    mutants: ['ConditionalExpression: record !== undefined → true'],
    why: 'Without a record the last write is of an event, which has no condition that could fail.',
  },
  {
    file: 'functions/table/idempotency.ts',
    line: 'return record !== undefined && rejected.at(-1)?.failed === true;',
    mutants: ['OptionalChaining: rejected.at(-1)?.failed → rejected.at(-1).failed'],
    why: 'What was rejected lists each of its writes.',
  },
  {
    file: 'functions/table/keys.ts',
    line: 'const isStillThere = deployment?.failed && deployment.item?.generation === key.generation;',
    mutants: ['OptionalChaining: deployment?.failed → deployment.failed'],
    why: 'What was rejected lists each of its writes.',
  },
  {
    file: 'functions/table/purge.ts',
    line: 'for (let at = 0; at < keys.length; at += BATCH) batches.push(keys.slice(at, at + BATCH));',
    mutants: ['EqualityOperator: at < keys.length → at <= keys.length'],
    why: 'One batch more, of nothing, asks for nothing.',
  },
  {
    file: 'functions/table/reconcile.ts',
    line: 'const { Items = [], LastEvaluatedKey } = await scanPage(table, page);',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'DynamoDB answers a Query or Scan with Items always, if none.',
  },
  {
    file: 'functions/table/registrations.ts',
    line: 'const { Items = [], LastEvaluatedKey } = await queryPage(table, {',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'DynamoDB answers a Query or Scan with Items always, if none.',
  },
  {
    file: 'functions/table/purge.ts',
    line: "const pk = dynamodb?.Keys?.pk?.S ?? '';",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is a key or a generation of ours.',
  },
  {
    file: 'functions/table/purge.ts',
    line: "const sk = dynamodb?.Keys?.sk?.S ?? '';",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is a key or a generation of ours.',
  },
  {
    file: 'functions/table/purge.ts',
    line: "const generation = dynamodb?.OldImage?.generation?.S ?? '';",
    mutants: [`StringLiteral: '' → "Stryker was here!"`],
    why: 'Neither text is a key or a generation of ours.',
  },
  {
    file: 'functions/table/purge.ts',
    line: 'const isKey = keyUlid !== undefined && sk.startsWith(KEY_PREFIX) && isUlid(keyUlid);',
    mutants: ['ConditionalExpression: keyUlid !== undefined → true'],
    why: "It is undefined only for the Deployment's own sort key, which does not begin as a key's does.",
  },
  {
    file: 'functions/table/restore.ts',
    line: "for (const { pk } of page.Items ?? []) yield String(pk).slice(deploymentPartition('').length);",
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'DynamoDB answers a Query or Scan with Items always, if none.',
  },
  {
    file: 'functions/table/schema.ts',
    line: 'if (item?.lastUsedAt === undefined) return undefined;',
    mutants: ['ConditionalExpression: item?.lastUsedAt === undefined → false'],
    why: 'An item without it is of a wrong shape, which is undefined likewise.',
  },
  {
    file: 'functions/table/schema.ts',
    line: 'const isMarker = deploymentId && generation && isDeploymentId(deploymentId) && isUlid(generation);',
    mutants: [
      'LogicalOperator: deploymentId && generation → deploymentId || generation',
      'ConditionalExpression: deploymentId && generation → true',
    ],
    why: 'Neither an ID nor a ULID is empty: the first two are for the type checker.',
  },
  {
    file: 'functions/table/source-rows.ts',
    line: 'const { Items = [], LastEvaluatedKey } = await answered(',
    mutants: ['ArrayDeclaration: [] → ["Stryker was here"]'],
    why: 'DynamoDB answers a Query or Scan with Items always, if none.',
  },
  {
    file: 'functions/table/https-transport.ts',
    line: "let scope = '';",
    mutants: ['StringLiteral: \'\' → "Stryker was here!"'],
    why: 'Neither text begins with a day, so the first call sets the scope.',
  },
  {
    file: 'functions/table/https-transport.ts',
    line: "function converted(convert: (value: Json) => unknown, value: Json, name = ''): Json {",
    mutants: ['StringLiteral: \'\' → "Stryker was here!"'],
    why: 'The default is for a whole request or response. Neither text is the name of a field that holds attributes.',
  },
  {
    file: 'functions/table/https-transport.ts',
    line: 'if (!scope.startsWith(day)) {',
    mutants: [
      'ConditionalExpression: !scope.startsWith(day) → true',
      'MethodExpression: scope.startsWith(day) → scope.endsWith(day)',
    ],
    why: 'The key is created again for each call, and is the same. The condition saves only time.',
  },
];
