import { writeFileSync } from 'node:fs';
import { openApiText } from '../functions/openapi/document.ts';

// `npm run openapi`: generates docs/openapi.json from the schemas. A test fails if the file is not current.
writeFileSync(new URL('../docs/openapi.json', import.meta.url), openApiText());
