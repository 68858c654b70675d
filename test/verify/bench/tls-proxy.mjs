// Puts the engine behind TLS, as DynamoDB is. Arguments: the engine's URL, and the files of a key and a certificate.
// Sends the parent the port.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:https';

const [, , engine, key, cert] = process.argv;
const { hostname, port } = new URL(engine);
const agent = new Agent({ keepAlive: true });
const identity = { key: readFileSync(key), cert: readFileSync(cert) };
const server = createServer({ ...identity, keepAliveTimeout: 60_000 }, (incoming, answer) => {
  const { method, url: path, headers } = incoming;
  const onward = request({ hostname, port, method, path, headers, agent }, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.pipe(answer);
  });
  incoming.pipe(onward);
}).listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit());
