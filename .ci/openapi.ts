import { writeFileSync } from 'node:fs';
import { openApiText } from '../functions/openapi/document.ts';
import { errorsText } from './errors-text.ts';
import { eventsText } from './events-text.ts';

// `npm run generate`: generates docs/openapi.json from the schemas, docs/errors.md from the list of codes, and
// docs/events.md from the help for events. A test fails if one of the files is out of date.
writeFileSync(new URL('../docs/openapi.json', import.meta.url), openApiText());
writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsText());
writeFileSync(new URL('../docs/events.md', import.meta.url), eventsText());
