import { createHash } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const TableName = process.env.TABLE_NAME;
const get = async (pk: string, sk: string) => {
  const { Item } = await client.send(new GetCommand({ TableName, Key: { pk, sk }, ConsistentRead: true }));
  return Item;
};

/**
 * An authorizer with the obvious design. It makes three GetItem calls, and then a PutItem call that writes the whole
 * token with its new expiry.
 */
export const handler = async (event: { headers: { authorization: string } }) => {
  const token = event.headers.authorization.slice('Bearer '.length);
  const hash = createHash('sha256').update(token).digest('base64url');
  const rest = token.slice('dkt_'.length, -50);
  const pk = `DEPLOYMENT#${rest.slice(0, -27)}`;
  const ulid = rest.slice(-26);
  const now = Math.floor(Date.now() / 1000);
  const item = await get(pk, `TOKEN#${ulid}#${hash}`);
  if (!item || item.expiresAt <= now) return { isAuthorized: false };
  const key = await get(pk, `KEY#${ulid}`);
  if (!key?.enabled) return { isAuthorized: false };
  const deployment = await get(pk, 'DEPLOYMENT');
  if (deployment?.generation !== item.generation) return { isAuthorized: false };
  await client.send(new PutCommand({ TableName, Item: { ...item, expiresAt: now + 86_400 } }));
  return { isAuthorized: true };
};
