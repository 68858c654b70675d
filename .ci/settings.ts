import { writeFileSync } from 'node:fs';
import { describedIn, PAGE, PROPS, propsText } from './settings-text.ts';

// `npm run generate`: writes the descriptions in infra/settings.ts into docs/settings.md and the construct's
// properties. A test fails if one of the files is out of date.
writeFileSync(PAGE, describedIn(PAGE));
writeFileSync(PROPS, propsText());
