// Is a file an AsyncAPI document? By AsyncAPI's own parser: node validate.mjs ../../asyncapi.json
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const WARNING = 1; // and 0 is an error; the rest is advice
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const faults = diagnostics.filter(({ severity }) => severity <= WARNING);
for (const { path, message } of faults) console.error(`${path.join('.')}: ${message}`);
console.log(`${faults.length} faults, ${document?.operations().length ?? 0} operations`);
process.exit(faults.length || !document ? 1 : 0);
