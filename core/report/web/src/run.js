// SPDX-License-Identifier: Apache-2.0
// One run: what it was, what it came to, and its charts.
import { axis, figure, lineStyle, names, phases, rowsHeight, rowSlider, upright } from './charts.js';
import { choice, element, switches, table } from './dom.js';
import { count, difference, duration, energy, format, share } from './format.js';
import { timelineFigure } from './timeline.js';

const number = 'number';

/** A few figures, big. */
export function bigNumbers(entries) {
    return element('dl', { class: 'big' }, ...entries.filter(Boolean).map(([name, value, more]) =>
        element('div', {}, element('dt', {}, name), element('dd', {}, value), more && element('dd', { class: 'more' }, more))));
}

/* ---- what it came to ---- */

const hasEnergy = (run) => Number.isFinite(run.energy_per_task_j);
/** Whether a later plan than the first gave some stream other cuts. */
const wasReplanned = (run) => run.detail?.cuts.some((row) => row.changes.length > 1) ?? false;

function headline(run) {
    const { delay, plan } = run;
    const bad = delay.tasks_failed + delay.tasks_unfinished;
    const first = wasReplanned(run) ? ', by the first plan' : '';
    return bigNumbers([
        ['mean delay', duration(delay.mean_ns), `± ${duration(Math.sqrt(delay.variance_ns2 ?? NaN))} (standard deviation)`],
        ['median', duration(delay.median_ns)],
        ['99th percentile', duration(delay.p99_ns), `longest ${duration(delay.maximum_ns)}`],
        ['tasks', count(delay.tasks_ok), bad ? `${count(bad)} failed or unfinished` : 'none failed'],
        plan && ['predicted mean', duration(plan.predicted_mean_ns), `${difference(plan.predicted_mean_ns, delay.mean_ns)} beside measured${first}`],
        hasEnergy(run) && ['energy a task', energy(run.energy_per_task_j), plan && Number.isFinite(plan.predicted_energy_per_task_j)
            ? `predicted ${energy(plan.predicted_energy_per_task_j)}${first}` : 'by the nodes\' power models'],
    ]);
}

function verdict(run) {
    const list = (items) => element('ul', {}, ...items.map((text) => element('li', {}, text)));
    const parts = [];
    if (run.status !== 'done')
        parts.push(element('div', { class: 'banner bad', role: 'alert' }, element('strong', {}, `This run is ${run.status}. `), run.cause ?? ''));
    if (run.warnings.length)
        parts.push(element('div', { class: 'banner warn' }, element('strong', {}, 'Before you trust these figures: '), list(run.warnings)));
    else
        parts.push(element('div', { class: 'banner good' }, element('strong', {}, 'Conditions met. '),
            'Every link did what was asked of it, and no task failed or was late.'));
    if (run.detail?.left_out.length)
        parts.push(element('details', { class: 'banner' }, element('summary', {}, 'This page leaves out some of a big run'), list(run.detail.left_out)));
    return parts;
}

/* ---- charts ---- */

function boxOf(quantiles) {
    const at = (share) => quantiles[Math.round(share * (quantiles.length - 1))];
    return [at(0.05), at(0.25), at(0.5), at(0.75), at(0.95)];
}

/* Few tasks: a step at each; many: through the quantiles. */
function cumulative({ delays_ns: each, quantiles_ns: quantiles }) {
    return each.length > 0
        ? { step: 'end', data: [[each[0], 0], ...each.map((delay, i) => [delay, (i + 1) / each.length])] }
        : { data: quantiles.map((delay, q) => [delay, q / (quantiles.length - 1)]) };
}

function delayFigure(distributions, height) {
    const { all } = distributions;
    const parts = [{ ...all, stream: 'all' }, ...distributions.streams].filter((part) => part.tasks > 0);
    const lines = parts.length === 2 ? parts.slice(1) : parts;
    let kind = 'ecdf';
    const options = {
        ecdf: (style) => ({
            tooltip: { ...tip(style), trigger: 'item', formatter: ({ seriesName, value }) => `${seriesName}\n${share(value[1])} of the tasks took ${duration(value[0])} or less` },
            xAxis: axis(style, { type: 'value', scale: true, name: 'delay', axisLabel: { formatter: duration } }),
            yAxis: upright(style, { type: 'value', min: 0, max: 1, name: 'share of tasks', axisLabel: { formatter: share } }),
            series: lines.map((part, i) => ({
                name: part.stream, type: 'line', z: part.stream === 'all' ? 3 : 2, symbol: 'circle', symbolSize: 7, showSymbol: false,
                lineStyle: { width: part.stream === 'all' ? 3 : 1.6, type: lineStyle(i) },
                ...cumulative(part),
            })),
        }),
        histogram: (style) => ({
            tooltip: { ...tip(style), trigger: 'axis' },
            xAxis: axis(style, { type: 'category', name: all.beyond ? `delay (${count(all.beyond)} longer ones are not shown)` : 'delay', data: all.histogram.map((_, i) => duration(distributions.bins_from_ns + (i + 0.5) * distributions.bin_ns)) }),
            yAxis: upright(style, { type: 'value', name: 'tasks' }),
            series: distributions.streams.filter((part) => part.tasks > 0).map((part) => ({ name: part.stream, type: 'bar', stack: 'all', barCategoryGap: '4%', data: part.histogram })),
        }),
        box: (style, width) => ({
            legend: { show: false },
            tooltip: { ...tip(style), formatter: ({ name, value }) => `${name}\n95 %: ${duration(value[5])}\n75 %: ${duration(value[4])}\nmedian: ${duration(value[3])}\n25 %: ${duration(value[2])}\n5 %: ${duration(value[1])}` },
            xAxis: names(style, width, parts.map((part) => part.stream)),
            yAxis: upright(style, { type: 'value', name: 'delay: 5 %, 25 %, median, 75 %, 95 %', axisLabel: { formatter: duration } }),
            series: [{ name: 'delay', type: 'boxplot', itemStyle: { color: style.ground, borderColor: style.series[0], borderWidth: 1.6 },
                data: parts.map((part) => boxOf(part.quantiles_ns)) }],
        }),
    };
    return figure({
        height,
        title: 'Delay of the tasks',
        about: `From when a task was due on its device to when its result was back there.`,
        label: `Distribution of the delay: median ${duration(boxOf(all.quantiles_ns)[2])}, half of the tasks between ${duration(boxOf(all.quantiles_ns)[1])} and ${duration(boxOf(all.quantiles_ns)[3])}`,
        controls: (redraw) => [switches('show as', [['ecdf', 'cumulative'], ['histogram', 'histogram'], ['box', 'boxes']], kind, (chosen) => { kind = chosen; redraw(); })],
        option: (style, width) => options[kind](style, width),
        table: () => table('Delays by stream', [
            ['stream', (part) => part.stream], ['tasks', (part) => count(part.tasks), number],
            ...[0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1].map((q) => [{ 0: 'least', 0.5: 'median', 1: 'most' }[q] ?? share(q),
                (part) => duration(part.quantiles_ns[Math.round(q * (part.quantiles_ns.length - 1))]), number]),
        ], parts),
    });
}

const tip = (style) => ({ confine: true, backgroundColor: style.raised, borderColor: style.line, textStyle: { color: style.text }, renderMode: 'richText' });

function phaseFigure(streams) {
    const rows = streams.filter((stream) => stream.tasks_ok > 0);
    let predicted = false;
    const labels = () => rows.flatMap((stream) => (predicted ? [stream.stream, `${stream.stream} predicted`] : [stream.stream]));
    const values = (phase) => rows.flatMap((stream) => (predicted
        ? [stream[`${phase}_ns`], { value: stream[`predicted_${phase}_ns`], itemStyle: { opacity: 0.55 } }] : [stream[`${phase}_ns`]]));
    return figure({
        title: 'Where the time goes',
        about: 'Mean of each phase; together they are the mean delay. Local includes the wait for the device.',
        label: `Phases of ${rows.length} streams, stacked`,
        height: () => rowsHeight(labels().length),
        controls: (redraw) => [element('label', {}, element('input', { type: 'checkbox', onchange: (event) => { predicted = event.target.checked; redraw(); } }), ' beside the prediction')],
        option: (style) => ({
            tooltip: { ...tip(style), trigger: 'axis', axisPointer: { type: 'shadow' }, valueFormatter: duration },
            dataZoom: rowSlider(style, labels().length) || [],
            grid: { left: labels().length > 24 ? 24 : 8, right: 24, top: 40, bottom: 40, containLabel: true },
            xAxis: axis(style, { type: 'value', name: 'mean time', axisLabel: { formatter: duration } }),
            yAxis: axis(style, { type: 'category', inverse: true, data: labels() }),
            series: phases.map((phase) => ({ name: phase, type: 'bar', stack: 'delay', barMaxWidth: 40, itemStyle: { color: style.phases[phase] }, data: values(phase) })),
        }),
        table: () => table('Mean phases by stream', [
            ['stream', (stream) => stream.stream], ['device', (stream) => stream.device],
            ...phases.map((phase) => [phase, (stream) => duration(stream[`${phase}_ns`]), number]),
            ['delay', (stream) => duration(stream.mean_delay_ns), number],
        ], rows),
    });
}

/** Means over the streams, each as heavy as its tasks. */
function overall(streams, key) {
    let sum = 0;
    let tasks = 0;
    for (const stream of streams)
        if (stream.tasks_ok > 0 && Number.isFinite(stream[key])) {
            sum += stream[key] * stream.tasks_ok;
            tasks += stream.tasks_ok;
        }
    return tasks ? sum / tasks : null;
}

function predictionFigure({ streams }, replanned) {
    const planned = streams.filter((stream) => stream.tasks_ok > 0 && Number.isFinite(stream.predicted_delay_ns));
    if (!planned.length)
        return null;
    let chosen = '';
    const rows = () => {
        const of = chosen === '' ? planned : [planned[Number(chosen)]];
        return [...phases.map((phase) => [phase, overall(of, `${phase}_ns`), overall(of, `predicted_${phase}_ns`)]),
            ['delay', overall(of, 'mean_delay_ns'), overall(of, 'predicted_delay_ns')]];
    };
    return figure({
        title: 'Predicted and measured',
        about: `The figure over a pair says how far the prediction lies from what was measured.${replanned ? ' The prediction is that of the first plan, and cuts changed in mid-run.' : ''}`,
        controls: (redraw) => [choice('stream', [['', 'all'], ...planned.map((stream, i) => [String(i), stream.stream])], '', (value) => { chosen = value; redraw(); })],
        option: (style, width) => ({
            legend: { type: 'scroll', top: 0, left: 0, textStyle: { color: style.text }, data: ['measured', 'predicted'] },
            tooltip: { ...tip(style), trigger: 'axis', axisPointer: { type: 'shadow' }, formatter: ([{ dataIndex }]) => {
                const [name, measured, predicted] = rows()[dataIndex];
                return `${name}\nmeasured: ${duration(measured)}\npredicted: ${duration(predicted)} (${difference(predicted, measured)})`;
            } },
            xAxis: names(style, width, rows().map(([name]) => name)),
            yAxis: upright(style, { type: 'value', name: 'mean time', axisLabel: { formatter: duration } }),
            series: [
                { name: 'measured', type: 'bar', barGap: '5%', itemStyle: { color: style.series[0] }, data: rows().map(([, measured]) => measured) },
                { name: 'predicted', type: 'bar', itemStyle: { color: style.series[4] }, data: rows().map(([, , predicted]) => predicted) },
                { name: 'error', type: 'line', silent: true, symbolSize: 1, lineStyle: { width: 0 }, itemStyle: { color: 'transparent' }, labelLayout: { hideOverlap: true }, // only to carry the figures over the pairs
                    data: rows().map(([, measured, predicted]) => Math.max(measured, predicted)),
                    label: { show: true, position: 'top', color: style.text, formatter: ({ dataIndex }) => { const [, measured, predicted] = rows()[dataIndex]; return difference(predicted, measured); } } },
            ],
        }),
        table: () => table('Predicted and measured, by stream', [
            ['stream', ([stream]) => stream.stream], ['phase', ([, phase]) => phase],
            ['measured', ([stream, phase]) => duration(stream[phase === 'delay' ? 'mean_delay_ns' : `${phase}_ns`]), number],
            ['predicted', ([stream, phase]) => duration(stream[`predicted_${phase}_ns`]), number],
            ['error', ([stream, phase]) => difference(stream[`predicted_${phase}_ns`], stream[phase === 'delay' ? 'mean_delay_ns' : `${phase}_ns`]), number],
        ], planned.flatMap((stream) => [...phases, 'delay'].map((phase) => [stream, phase]))),
    });
}

function activityFigure({ bin_ns: bin, tasks }) {
    const bins = tasks.local.map((_, i) => i);
    return figure({
        title: 'Tasks in progress over time',
        about: `How many tasks were in each phase, mean over ${duration(bin)}, over the whole run. A growing stack means that tasks come faster than they are finished.`,
        option: (style) => ({
            tooltip: { ...tip(style), trigger: 'axis', valueFormatter: (value) => format('number', value) },
            xAxis: axis(style, { type: 'value', max: bins.length * bin, name: 'time since the run began', axisLabel: { formatter: duration } }),
            yAxis: upright(style, { type: 'value', name: 'tasks' }),
            series: phases.map((phase) => ({ name: phase, type: 'line', step: 'middle', stack: 'all', symbol: 'none', lineStyle: { width: 0 }, itemStyle: { color: style.phases[phase] },
                areaStyle: { color: style.phases[phase], opacity: 0.9 }, data: bins.map((i) => [(i + 0.5) * bin, tasks[phase][i]]) })),
        }),
        table: () => table('Tasks in each phase', [
            ['time', (i) => duration((i + 0.5) * bin), number], ...phases.map((phase) => [phase, (i) => format('number', tasks[phase][i]), number])],
        bins.filter((i) => i % Math.ceil(bins.length / 50) === 0)),
    });
}

/** What a row of the cuts stands for: the stream, and where its way leads over several devices, the one that the cut comes after. */
function cutRowNames(cuts) {
    const ways = new Set(cuts.filter((row) => row.hop > 0).map((row) => row.stream));
    return cuts.map((row) => (ways.has(row.stream) ? `${row.stream}: after ${row.node}` : row.stream));
}

function cutFigure(cuts, streams) {
    const rowNames = cutRowNames(cuts);
    const ways = cuts.some((row) => row.hop > 0);
    const most = Math.max(...cuts.map((row) => row.tasks.length));
    const cells = cuts.flatMap((row, y) => {
        const all = row.tasks.reduce((a, b) => a + b, 0);
        return row.tasks.flatMap((tasks, cut) => (tasks > 0 ? [[cut, y, tasks / all, tasks]] : []));
    });
    const words = (cut, y) => {
        const all = cuts[y].tasks.length - 1;
        if (rowNames[y] === cuts[y].stream)
            return cut === 0 ? 'all at the station' : cut === all ? 'all on the device' : `${cut} layers on the device`;
        return cut === 0 ? 'all further up' : cut === all ? 'nothing left to do' : `${cut} done, ${all - cut} further up`;
    };
    const planned = new Map(streams.map((stream) => [stream.stream, stream]));
    return figure({
        title: 'Where the models were cut',
        about: ways ? 'Share of the tasks that came to a device by the number of layers done when they left it: what lies between two rows of a stream ran on the second\'s device.'
            : 'Share of each stream\'s tasks by the number of layers that ran on the device.',
        label: 'Heat map of streams and cuts',
        height: rowsHeight(cuts.length),
        option: (style) => ({
            legend: { show: false },
            dataZoom: rowSlider(style, cuts.length) || [],
            grid: { left: cuts.length > 24 ? 24 : 8, right: 90, top: 12, bottom: 40, containLabel: true },
            tooltip: { ...tip(style), formatter: ({ value: [cut, y, part, tasks] }) => `${rowNames[y]}\n${words(cut, y)}\n${share(part)} (${count(tasks)} tasks)` },
            xAxis: axis(style, { type: 'category', data: Array.from({ length: most }, (_, i) => i), name: ways ? 'layers done' : 'layers on the device', splitArea: { show: false } }),
            yAxis: axis(style, { type: 'category', inverse: true, data: rowNames }),
            visualMap: { min: 0, max: 1, dimension: 2, calculable: false, orient: 'vertical', right: 4, top: 'middle', itemHeight: 90, text: ['100 %', '0'], inRange: { color: style.heat }, textStyle: { color: style.text } },
            series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: style.faint, borderWidth: 1 }, emphasis: { itemStyle: { borderColor: style.text, borderWidth: 2 } } }],
        }),
        table: () => table('Cuts used', [
            ['stream', ([, y]) => rowNames[y]], ['cut', ([cut, y]) => `${cut} of ${cuts[y].tasks.length - 1} (${words(cut, y)})`],
            ['after', ([cut, y]) => (cuts[y].hop === 0 && planned.get(cuts[y].stream)?.cut === cut ? planned.get(cuts[y].stream).cut_layer : '')],
            ['tasks', ([, , , tasks]) => count(tasks), number], ['share', ([, , part]) => share(part), number]], cells),
    });
}

/** Cuts by the moment at which their tasks began: only where a plan made in mid-run changed some. */
function cutsOverTimeFigure({ cuts, activity, timeline }) {
    const rowNames = cutRowNames(cuts);
    const rows = cuts.map((row, i) => ({ ...row, name: rowNames[i] })).filter((row) => row.changes.length > 1);
    const end = Math.max(activity.bin_ns * activity.tasks.local.length, ...timeline.ended_ns, ...rows.map((row) => row.changes.at(-1)[0]));
    const changes = rows.flatMap((row) => row.changes.map(([at, cut], i) => ({ name: row.name, at, cut, before: row.changes[i - 1]?.[1] })))
        .sort((a, b) => a.at - b.at);
    return figure({
        title: 'Cuts over time',
        about: 'How many layers each task ran before it was sent on, by when it began. A step is a new plan at work; streams whose cut stayed are left out.',
        label: `Cuts of ${rows.length} streams over time`,
        option: (style) => ({
            tooltip: { ...tip(style), trigger: 'item', formatter: ({ seriesName, value: [at, cut] }) => `${seriesName}\nfrom ${duration(at)} on: ${count(cut)} layers` },
            xAxis: axis(style, { type: 'value', max: end, name: 'time since the run began', axisLabel: { formatter: duration } }),
            yAxis: upright(style, { type: 'value', min: 0, minInterval: 1, name: 'layers done' }),
            series: rows.map((row, i) => ({ name: row.name, type: 'line', step: 'end', symbol: 'circle', symbolSize: 6, lineStyle: { width: 2, type: lineStyle(i) },
                data: [...row.changes, [end, row.changes.at(-1)[1]]] })),
        }),
        table: () => table('Changes of cuts', [
            ['from', (change) => duration(change.at), number], ['stream', (change) => change.name],
            ['layers before', (change) => change.before ?? '–', number], ['layers', (change) => count(change.cut), number]], changes),
    });
}

/** Energy by stream or by node, parted into computing and sending. */
function energyFigure({ streams, nodes }) {
    const views = {
        stream: {
            name: 'energy of a task, mean of all nodes together',
            rows: streams.filter((stream) => Number.isFinite(stream.energy_per_task_j)).map((stream) => ({
                name: stream.stream, all: stream.energy_per_task_j, sending: stream.sending_per_task_j ?? NaN })),
        },
        node: {
            name: 'energy for tasks in the whole run',
            rows: nodes.filter((node) => Number.isFinite(node.busy_ns)).map((node) => ({
                name: node.node, all: (node.busy_ns * node.busy_w + node.air_ns * node.transmit_w) / 1e9, sending: (node.air_ns * node.transmit_w) / 1e9 })),
        },
    };
    let view = 'stream';
    const rows = () => views[view].rows;
    const parted = () => rows().every((row) => Number.isFinite(row.sending)); // runs of older versions did not record it by task
    const parts = () => (parted() ? [['computing', 'local', (row) => row.all - row.sending], ['sending', 'transmit', (row) => row.sending]]
        : [['computing and sending', 'local', (row) => row.all]]);
    return figure({
        title: 'Energy',
        about: 'Modelled: the power of each node (its power model in the scenario) times how long it computed, or sent, for tasks. What nodes draw at rest, whatever the plan, is not in it.',
        label: 'Energy by streams, stacked',
        height: () => rowsHeight(rows().length),
        controls: (redraw) => [switches('of', [['stream', 'a task, by stream'], ['node', 'the run, by node']], view, (chosen) => { view = chosen; redraw(); })],
        option: (style) => ({
            tooltip: { ...tip(style), trigger: 'axis', axisPointer: { type: 'shadow' }, valueFormatter: energy },
            dataZoom: rowSlider(style, rows().length) || [],
            grid: { left: rows().length > 24 ? 24 : 8, right: 24, top: 40, bottom: 40, containLabel: true },
            xAxis: axis(style, { type: 'value', name: views[view].name, axisLabel: { formatter: energy } }),
            yAxis: axis(style, { type: 'category', inverse: true, data: rows().map((row) => row.name) }),
            series: parts().map(([name, phase, of]) => ({ name, type: 'bar', stack: 'energy', barMaxWidth: 40, itemStyle: { color: style.phases[phase] }, data: rows().map(of) })),
        }),
        table: () => table(views[view].name, [
            [view, (row) => row.name], ...parts().map(([name, , of]) => [name, (row) => energy(of(row)), number]),
            ['together', (row) => energy(row.all), number]], rows()),
    });
}

function nodeFigure(samples) {
    const nodes = samples.filter((node) => node.samples.length > 0);
    if (!nodes.length)
        return null;
    let what = 'cpu';
    const column = () => (what === 'cpu' ? 1 : 2);
    const say = (value) => (what === 'cpu' ? format('number', value) : format('size', value));
    return figure({
        title: 'Processor and memory of the nodes',
        controls: (redraw) => [switches('show', [['cpu', 'processor (cores)'], ['memory', 'memory']], what, (chosen) => { what = chosen; redraw(); })],
        option: (style) => ({
            tooltip: { ...tip(style), trigger: 'axis', valueFormatter: say },
            xAxis: axis(style, { type: 'value', name: 'time since the run began', axisLabel: { formatter: duration } }),
            yAxis: upright(style, { type: 'value', name: what === 'cpu' ? 'cores' : 'resident memory', axisLabel: { formatter: say } }),
            series: nodes.map((node, i) => ({ name: node.node, type: 'line', symbol: 'none', lineStyle: { width: 1.6, type: lineStyle(i) }, data: node.samples.map((sample) => [sample[0], sample[column()]]) })),
        }),
        table: () => table('Means and peaks', [
            ['node', (node) => node.node],
            ['mean processor', (node) => `${format('number', node.samples.reduce((sum, sample) => sum + sample[1], 0) / node.samples.length)} cores`, number],
            ['most memory', (node) => format('size', Math.max(...node.samples.map((sample) => sample[2]))), number]], nodes),
    });
}

/* ---- what it was ---- */

/** "8/11 after pool3"; where plans were made in mid-run that was only the first. */
function cutText({ cut, layer_count: all, cut_layer: layer }, changed) {
    if (cut === null || cut === undefined)
        return '–';
    return `${cut}/${all}${layer ? ` after ${layer}` : ''}${changed ? ' at first' : ''}`;
}

function facts(run) {
    const changed = new Set(run.detail?.cuts.filter((row) => row.changes.length > 1).map((row) => row.stream));
    const kept = (title, open, ...content) => element('details', { class: 'card', open }, element('summary', {}, element('h2', {}, title)), ...content);
    return [
        run.failures.length > 0 && kept('Failed tasks', true, table('Failed tasks and why', [
            ['stream', (row) => row.stream], ['tasks', (row) => count(row.tasks), number], ['cause', (row) => row.cause]], run.failures)),
        kept('Streams', false, table('Streams', [
            ['stream', (row) => row.stream], ['device', (row) => row.device], ['model', (row) => row.model],
            ['cut', (row) => cutText(row, changed.has(row.stream))],
            run.streams.some((row) => row.way) && ['layers on the way', (row) => row.way ?? ''],
            ['sends', (row) => format('size', row.cut_bytes), number], ['tasks', (row) => count(row.tasks_ok), number],
            ['failed', (row) => count(row.tasks_failed), number], ['mean', (row) => duration(row.mean_delay_ns), number],
            ['median', (row) => duration(row.median_delay_ns), number], ['99 %', (row) => duration(row.p99_delay_ns), number],
            ['predicted', (row) => duration(row.predicted_delay_ns), number],
            run.streams.some((row) => row.deadline_ns) && ['deadline', (row) => duration(row.deadline_ns || NaN), number],
            run.streams.some((row) => row.deadline_ns) && ['missed', (row) => (row.deadline_ns ? count(row.deadline_misses) : '–'), number],
            hasEnergy(run) && ['energy a task', (row) => energy(row.energy_per_task_j), number],
        ].filter(Boolean), run.streams)),
        kept('Links: asked for and achieved', false, table('Links', [
            ['link', (row) => row.link], ['direction', (row) => row.direction], ['medium', (row) => row.medium ?? 'its own'],
            ['rate asked', (row) => (row.requested_bytes_per_s ? format('rate', row.requested_bytes_per_s) : 'any'), number],
            ['achieved', (row) => format('rate', row.achieved_bytes_per_s || NaN), number],
            ['delay asked', (row) => duration(row.requested_delay_ns), number], ['achieved', (row) => duration(row.achieved_delay_ns), number],
            ['jitter', (row) => duration(row.jitter_ns), number], ['loss', (row) => share(row.loss), number], ['by', (row) => row.method]], run.links)),
        kept('Nodes', false, table('Nodes', [
            ['node', (row) => row.node], ['role', (row) => (row.is_station ? 'station' : 'device')], ['share of a processor', (row) => share(row.cpu_share), number],
            ['threads', (row) => count(row.threads), number], ['backend', (row) => row.backend], ['machine', (row) => `${row.machine} (${row.processors})`],
            ['system', (row) => row.system], ['host', (row) => row.host], ['memory', (row) => format('size', row.memory_bytes), number],
            ['lost', (row) => row.lost ?? '']], run.nodes)),
        kept('Plugins', false, table('Plugins', [
            ['role', (row) => row.role], ['plugin', (row) => row.name], ['version', (row) => row.version], ['options', (row) => row.options.trim().split('\n').join(', ')]], run.plugins)),
        run.scenario_text && kept('The scenario', false, element('pre', { tabindex: '0' }, run.scenario_text)),
    ];
}

function about(run) {
    const pair = (name, value) => value && element('div', {}, element('dt', {}, name), element('dd', {}, value));
    return element('dl', { class: 'about' }, ...[
        pair('scenario', `${run.scenario || run.scenario_path}`), pair('world', run.world), pair('seed', String(run.seed)),
        pair('partitioner', run.partitioner), pair('scheduler', run.scheduler), pair('began', run.began),
        pair('machine', `${run.host}: ${run.processor}, ${run.system}`), pair('napm', run.platform_version),
    ].filter(Boolean));
}

/** Everything about one run. */
export function runPart(run) {
    const { detail } = run;
    const counted = detail && detail.distributions.all.tasks > 0;
    const nothing = element('p', { class: 'banner' }, detail ? 'No task of this run has ended well, so there is nothing to draw.'
        : 'The charts of this run are not in this page; napm report with its number shows them.');
    return element('div', { class: 'run' }, about(run), headline(run), ...verdict(run),
        ...(counted ? [
            element('div', { class: 'two' }, delayFigure(detail.distributions, rowsHeight(run.streams.length)), phaseFigure(run.streams)),
            element('div', { class: 'two' }, predictionFigure(run, wasReplanned(run)), activityFigure(detail.activity)),
            detail.timeline.task.length > 0 && timelineFigure(detail, run.streams),
            element('div', { class: 'two' }, cutFigure(detail.cuts, run.streams), wasReplanned(run) && cutsOverTimeFigure(detail),
                hasEnergy(run) && energyFigure(run), nodeFigure(detail.samples)),
        ] : [nothing]), ...facts(run));
}
