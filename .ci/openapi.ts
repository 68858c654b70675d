import { writeFileSync } from 'node:fs';
import { openApiText } from '../functions/openapi/document.ts';

// `npm run openapi`: docs/openapi.json is made of the schemas, and a test fails when it is not current.
writeFileSync(new URL('../docs/openapi.json', import.meta.url), openApiText());
