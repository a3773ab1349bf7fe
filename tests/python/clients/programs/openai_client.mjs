// Runs the journey in Node.js and prints the results as JSON. The first argument is the folder of the
// package.

import { pathToFileURL } from "node:url";
import { journey } from "./journey.mjs";

const [folder, ...rest] = process.argv.slice(2);
const { OpenAI } = await import(pathToFileURL(`${folder}/index.mjs`));
console.log(JSON.stringify(await journey(OpenAI, ...rest)));
