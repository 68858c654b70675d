/** The resources of the service's API that the console uses. The types are generated from the OpenAPI document. */
import type { components, operations } from '../openapi/api-types.ts';

type Schemas = components['schemas'];

/** Body of a request. */
type BodyOf<Id extends keyof operations> = operations[Id] extends {
  requestBody?: { content: { 'application/json': infer Body } };
}
  ? Body
  : never;

export type Deployment = Schemas['Deployment'];
export type DeploymentChanges = BodyOf<'putDeployment'>;

export type ApiKey = Schemas['ApiKey'];
/** The response to creating or rotating a key. */
export type NewKey = Schemas['ApiKeyWithSecret'];
/** The request that creates a key. */
export type KeyInput = BodyOf<'createApiKey'>;
/** Changes to a key. null clears a field. */
export type KeyChanges = BodyOf<'editApiKey'>;
/** Source of a call: its address and client. */
export type Origin = NonNullable<ApiKey['lastUsedFrom']>;
/** A key's secret, without its value. */
export type KeySecret = ApiKey['credentials'][number];
export type TrustRule = NonNullable<ApiKey['trust']>[number];
/** When a rotation retires the old secret. */
export type RetireOld = NonNullable<BodyOf<'rotateApiKey'>['retireOld']>;

/** An active access token of a key, without the token itself. */
export type AccessToken = Schemas['AccessToken'];

/**
 * The fields of an event that the console shows. An event about a person has no Deployment. An event about a key contains
 * the ID and the name of the key.
 */
export type ServiceEvent = Pick<Schemas['Event'], 'id' | 'type' | 'time'> & {
  data: Pick<Schemas['Event']['data'], 'actor'> & { keyId?: string; name?: string; [name: string]: unknown };
};

/** Result of comparing a CI token with a key's trust rules. */
export type Explanation = Schemas['Explanation'];
/** A difference between a CI token and a trust rule. */
export type Difference = Explanation['rules'][number]['differences'][number];

/** The state of a person's access. */
export type PersonAccess = Schemas['Person'];
/** The job that finds the keys of a person whose access was ended. */
export type AccessJob = NonNullable<PersonAccess['job']>;
/** A person, with one page of the keys that the job has found. */
export type FoundPerson = Schemas['FoundPerson'];
/** A key that belongs to a person, and the reasons why it belongs to that person. */
export type HeldKey = FoundPerson['keys'][number];

export type TemporaryToken = Schemas['TemporaryToken'];
/** The response to issuing a temporary token. */
export type IssuedToken = Schemas['NewTemporaryToken'];

/** A field that violates a rule. */
export type FieldFault = NonNullable<Schemas['Problem']['errors']>[number];
