// SPDX-License-Identifier: Apache-2.0
// Several runs: curves over the settings in which they differ, and the runs as a table.
import { axis, figure, lineStyle, names as namesOn, upright } from './charts.js';
import { choice, element, table } from './dom.js';
import { count, duration, format } from './format.js';
import { bigNumbers } from './run.js';

// Curves that coincide show both: the later one is dashed and has the smaller points.
const symbols = ['circle', 'rect', 'triangle', 'diamond'];
const dashes = ['solid', 'dashed', 'dotted'];

/** "links.pi.rate 8Mbit, partitioner exhaustive" */
const words = (settings) => Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(', ') || 'the same settings';

const withInterval = (kind, { mean, low, high, runs }) => (low === null ? `${format(kind, mean)} (one run)`
    : `${format(kind, mean)} [${format(kind, low)} … ${format(kind, high)}], ${runs} runs`);

function headline(document) {
    const points = document.points.filter((point) => point.metrics.mean_delay_ns.mean !== null);
    const by = [...points].sort((a, b) => a.metrics.mean_delay_ns.mean - b.metrics.mean_delay_ns.mean);
    const runs = document.runs.length;
    const done = document.runs.filter((run) => run.status === 'done').length;
    const told = (name, point) => [name, duration(point.metrics.mean_delay_ns.mean), words(point.settings)];
    return bigNumbers([
        ['runs', count(runs), done < runs ? `${count(runs - done)} not done` : 'all done'],
        ['combinations of settings', count(document.points.length), document.parameters.length === 1 ? 'one setting varies' : `${count(document.parameters.length)} settings vary`],
        by.length > 1 && told('least mean delay', by[0]),
        by.length > 1 && told('greatest mean delay', by.at(-1)),
    ]);
}

/** A setting with those that vary together with it. */
const titleOf = ({ name, with: others }) => [name, ...others].join(', ');

/** The place of a value on the axis. */
function placeOf(parameter, value) {
    const at = parameter.values.indexOf(value);
    return parameter.numbers ? parameter.numbers[at] : at;
}

/** Values in the order in which people look for them. */
const ordered = (parameter) => (parameter.numbers
    ? [...parameter.values].sort((a, b) => placeOf(parameter, a) - placeOf(parameter, b)) : parameter.values);

function curveFigure(document) {
    const { parameters, metrics, points } = document;
    const named = new Map(parameters.map((parameter) => [parameter.name, parameter]));
    const several = (parameter) => new Set(parameter?.values).size > 1;
    const x0 = parameters.find((parameter) => parameter.numbers && several(parameter)) ?? parameters[0];
    const chosen = { metric: 'mean_delay_ns', x: x0.name, lines: parameters.find((parameter) => parameter !== x0)?.name ?? '', fixed: {} };
    const metric = () => metrics.find(({ key }) => key === chosen.metric);
    const means = points.map((point) => point.metrics.mean_delay_ns.mean).filter((mean) => mean > 0);
    chosen.log = Math.max(...means) / Math.min(...means) >= 30; // else all but the greatest would lie on the axis
    const rest = () => parameters.filter(({ name }) => name !== chosen.x && name !== chosen.lines);
    const fixedValue = (parameter) => chosen.fixed[parameter.name] ?? ordered(parameter)[0];

    /** [{name, points sorted by x}] */
    const curves = () => {
        const x = named.get(chosen.x);
        const shown = points.filter((point) => rest().every((parameter) => point.settings[parameter.name] === fixedValue(parameter)));
        const names = chosen.lines ? ordered(named.get(chosen.lines)) : [metric().label];
        return names.map((name) => ({
            name,
            points: shown.filter((point) => (!chosen.lines || point.settings[chosen.lines] === name) && point.metrics[chosen.metric].mean !== null)
                .map((point) => ({ place: placeOf(x, point.settings[x.name]), label: point.settings[x.name], ...point.metrics[chosen.metric] }))
                .sort((a, b) => a.place - b.place),
        }));
    };
    /** Words have places side by side for the lines, so that their intervals do not cover each other. */
    const aside = (i, lines) => (named.get(chosen.x).numbers ? 0 : (i - (lines - 1) / 2) * 14);
    const option = (style, width) => {
        const x = named.get(chosen.x);
        const { kind, label } = metric();
        const places = x.numbers ?? [];
        const wide = places.length > 2 && Math.min(...places) > 0 && Math.max(...places) / Math.min(...places) >= 8;
        const tell = ({ seriesName, data }) => `${seriesName}\n${x.name} ${data.label}\n${label}: ${data.text}`;
        const ends = curves().flatMap(({ points: list }) => list.flatMap(({ mean, low, high }) => [mean, low, high])).filter((end) => end > 0);
        const lowest = round125(Math.min(...ends), Math.floor);
        const highest = round125(Math.max(...ends), Math.ceil);
        const series = curves().flatMap(({ name, points: list }, i, { length: lines }) => {
            const color = style.series[i % style.series.length];
            const banded = list.filter(({ low }) => low !== null);
            return [
                { name, type: 'custom', silent: true, z: 1, itemStyle: { color }, data: banded.map((point) => [point.place, chosen.log ? Math.max(point.low, lowest) : point.low, point.high]),
                    encode: { x: 0, y: [1, 2] }, tooltip: { show: false }, // the first item draws the band of all
                    renderItem: (params, api) => (!x.numbers ? whisker(color, api, aside(i, lines)) : params.dataIndex === 0 ? band(banded, color, api, chosen.log ? lowest : 0) : null) },
                { name, type: 'line', z: 3, symbol: symbols[i % symbols.length], symbolSize: 7 + 2 * Math.min(lines - 1 - i, 5), symbolOffset: [aside(i, lines), 0], itemStyle: { color }, lineStyle: { width: x.numbers ? 2 : 0, type: lines > 7 ? lineStyle(i) : dashes[i % dashes.length] },
                    data: list.map((point) => ({ value: [point.place, point.mean], label: point.label, text: withInterval(kind, point) })), label: { show: false } },
            ];
        });
        return {
            tooltip: { confine: true, trigger: 'item', renderMode: 'richText', backgroundColor: style.raised, borderColor: style.line, textStyle: { color: style.text },
                formatter: (item) => (item.data?.text ? tell(item) : '') },
            legend: { type: 'scroll', top: 0, left: 0, textStyle: { color: style.text }, data: curves().map(({ name }, i) => ({ name, icon: symbols[i % symbols.length] })), pageTextStyle: { color: style.text } },
            xAxis: !x.numbers ? namesOn(style, width, x.values, { name: titleOf(x), boundaryGap: true })
                : axis(style, { type: wide ? 'log' : 'value', min: 'dataMin', max: 'dataMax', name: titleOf(x), axisTick: { customValues: places },
                    axisLabel: { customValues: places, formatter: (value) => x.values[places.findIndex((place) => Math.abs(place - value) <= 1e-9 * Math.abs(place))] ?? format(x.kind, value) },
                    splitLine: { show: false } }),
            yAxis: upright(style, { name: label, axisLabel: { formatter: (value) => format(kind, value) },
                ...(chosen.log ? { type: 'log', min: lowest, max: highest } : { type: 'value', min: 0 }) }),
            series,
        };
    };
    return figure({
        title: 'Curves',
        about: 'Each point is the mean of its repetitions; the band is its 95 % interval of confidence (Student\'s t). A point of one run has none: how far it would vary is not known. Runs that are not done count for the share of failed tasks only.',
        label: 'Curves of a metric over a setting',
        height: 420,
        option,
        controls: (redraw) => {
            const place = element('span', { class: 'controls' });
            const names = parameters.map((parameter) => [parameter.name, titleOf(parameter)]);
            const fill = () => place.replaceChildren(...[
                choice('metric', metrics.map(({ key, label }) => [key, label]), chosen.metric, (value) => change('metric', value)),
                choice('over', names, chosen.x, (value) => change('x', value)),
                parameters.length > 1 && choice('lines for', [['', 'nothing'], ...names.filter(([name]) => name !== chosen.x)], chosen.lines, (value) => change('lines', value)),
                ...rest().map((parameter) => choice(titleOf(parameter), ordered(parameter).map((value) => [value, value]), fixedValue(parameter),
                    (value) => { chosen.fixed[parameter.name] = value; redraw(); }))].filter(Boolean));
            const change = (key, value) => {
                chosen[key] = value;
                if (chosen.lines === chosen.x)
                    chosen.lines = '';
                fill();
                redraw();
            };
            fill();
            return [place, element('label', {}, element('input', { type: 'checkbox', checked: chosen.log, onchange: (event) => { chosen.log = event.target.checked; redraw(); } }), ' logarithmic')];
        },
        table: () => table('All combinations of settings', [
            ...parameters.map(({ name }) => [name, (point) => point.settings[name]]),
            [metric().label, (point) => withInterval(metric().kind, point.metrics[chosen.metric]), 'number'],
        ], points),
    });
}

/** The next 1, 2 or 5 times a power of ten below (Math.floor) or above (Math.ceil). */
function round125(value, way) {
    const power = 10 ** Math.floor(Math.log10(value));
    const steps = [1, 2, 5, 10].map((step) => step * power);
    return (way === Math.ceil ? steps.find((step) => step >= value * 0.999999) : steps.reverse().find((step) => step <= value * 1.000001)) ?? value;
}

/** The interval of every point, joined. */
function band(points, color, api, floor) {
    if (points.length < 2)
        return null;
    const edge = [...points.map(({ place, high }) => [place, high]), ...[...points].reverse().map(({ place, low }) => [place, Math.max(low, floor)])];
    return { type: 'polygon', shape: { points: edge.map((at) => api.coord(at)) }, style: { fill: color, opacity: 0.18 } };
}

function whisker(color, api, aside) {
    const place = (value) => { const [x, y] = api.coord([api.value(0), value]); return [x + aside, y]; };
    const low = place(Math.max(api.value(1), 0));
    const high = place(api.value(2));
    const line = (from, to) => ({ type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style: { stroke: color, lineWidth: 2 } });
    const tick = (at) => line([at[0] - 6, at[1]], [at[0] + 6, at[1]]);
    return { type: 'group', children: [line(low, high), tick(low), tick(high)] };
}

/** Points of a sweep that never came to a run, or whose run failed. */
function failedTable({ failed_points: failed }) {
    return failed?.length > 0 && element('details', { class: 'card', open: true }, element('summary', {}, element('h2', {}, `${count(failed.length)} points failed`)),
        table('Points that failed, and why', [['settings', (point) => point.settings], ['seed', (point) => String(point.seed)], ['cause', (point) => point.cause]], failed));
}

function runTable(document) {
    const settings = new Map(document.points.flatMap((point) => point.runs.map((run) => [run, point.settings])));
    return element('section', { class: 'card long' }, element('h2', {}, 'All runs'), table('All runs', [
        ['run', (run) => String(run.run)], ...document.parameters.map(({ name }) => [name, (run) => settings.get(run.run)?.[name]]),
        ['seed', (run) => String(run.seed)], ['status', (run) => (run.cause ? `${run.status}: ${run.cause}` : run.status)],
        ['tasks', (run) => count(run.delay.tasks_ok), 'number'], ['failed', (run) => count(run.delay.tasks_failed + run.delay.tasks_unfinished), 'number'],
        ['mean', (run) => duration(run.delay.mean_ns), 'number'], ['median', (run) => duration(run.delay.median_ns), 'number'],
        ['99 %', (run) => duration(run.delay.p99_ns), 'number'], ['predicted', (run) => duration(run.plan?.predicted_mean_ns), 'number'],
        document.runs.some((run) => Number.isFinite(run.energy_per_task_j)) && ['energy a task', (run) => format('energy', run.energy_per_task_j), 'number'],
        ['warnings', (run) => (run.warnings.length ? count(run.warnings.length) : ''), 'number'],
    ].filter(Boolean), document.runs, 2000));
}

/** Everything about several runs together. */
export function sweepPart(document) {
    const curves = document.parameters.length > 0 && document.points.length > 1;
    return element('div', { class: 'sweep' }, headline(document),
        document.left_out.length > 0 && element('p', { class: 'note' }, document.left_out.join(' ')),
        curves ? curveFigure(document) : element('p', { class: 'banner' }, 'These runs differ in no setting but the seed, so there are no curves to draw.'),
        failedTable(document), runTable(document));
}
