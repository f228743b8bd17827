// SPDX-License-Identifier: Apache-2.0
// Times whole models through onnxruntime-node, on request: the peer of bench_model_napm.c, with the same protocol.
//
//   node bench_model_onnxruntime.mjs PACKAGES MODEL.onnx THREADS
//
// PACKAGES is the node_modules folder that holds onnxruntime-node. A line "compare FILE" answers with the largest
// difference between the floats of FILE and the first output, relative to the largest output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [packages, path, threads] = process.argv.slice(2);
const ort = createRequire(`${packages}/`)('onnxruntime-node');

const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
});

const feeds = {};
for (const input of session.inputMetadata) {
    const count = input.shape.reduce((a, b) => a * b, 1);
    feeds[input.name] = new ort.Tensor('float32', Float32Array.from({ length: count }, (_, i) => Math.sin(i)), input.shape);
}

let result = await session.run(feeds);

async function times(count) {
    const list = [];
    for (let i = 0; i < count; i++) {
        const start = process.hrtime.bigint();
        result = await session.run(feeds);
        list.push((Number(process.hrtime.bigint() - start) / 1e6).toFixed(4));
    }
    return list.join(' ');
}

function difference(file) {
    const bytes = readFileSync(file);
    const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const ours = result[session.outputNames[0]].data;
    if (theirs.length !== ours.length) return 'Infinity';
    let largest = 0, greatest = 0;
    for (let i = 0; i < ours.length; i++) {
        largest = Math.max(largest, Math.abs(ours[i]));
        greatest = Math.max(greatest, Math.abs(ours[i] - theirs[i]));
    }
    return (greatest / largest).toExponential(1);
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin }))
    console.log(line.startsWith('compare ') ? difference(line.slice(8)) : await times(Number(line)));
