import { writeFileSync } from 'node:fs';
import { errorsText } from '../functions/domain/error-codes.ts';
import { openApiText } from '../functions/openapi/document.ts';

// `npm run openapi`: generates docs/openapi.json from the schemas, and docs/errors.md from the list of codes. A test
// fails if one of the files is out of date.
writeFileSync(new URL('../docs/openapi.json', import.meta.url), openApiText());
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsText());
