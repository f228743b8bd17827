// SPDX-License-Identifier: Apache-2.0
// Bundles the page into one file: node build.js OUTPUT
// The page may run this one script and nothing else: its digest stands in the content security policy.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? 'report.html';

async function bundle(entry) {
    const result = await build({
        entryPoints: [join(here, 'src', entry)],
        absWorkingDir: here,
        bundle: true,
        minify: true,
        write: false,
        format: 'iife',
        target: ['chrome100', 'firefox100', 'safari15'],
        legalComments: 'inline',
        logLevel: 'warning',
    });
    return result.outputFiles[0].text.trim();
}

const script = await bundle('main.js');
const style = await bundle('style.css');
const digest = createHash('sha256').update(script).digest('base64');
const parts = { SCRIPT: script, STYLE: style, DIGEST: digest };
const page = readFileSync(join(here, 'page.html'), 'utf8').replace(/@(SCRIPT|STYLE|DIGEST)@/g, (_, name) => parts[name]);
writeFileSync(output, page);
