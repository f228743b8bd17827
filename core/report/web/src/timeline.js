// SPDX-License-Identifier: Apache-2.0
// What each task did when and where: bars on lanes of the nodes on its way, the links between them, and the station.
import { axis, clip, figure, phases } from './charts.js';
import { element, table } from './dom.js';
import { count, duration } from './format.js';

const mostLanes = 16; // of one row; a longer queue than this says nothing more
const laneHeight = 13;
const firstSight = 40; // tasks in view at first

/** What came of a task at the devices on its way behind its own: [{node, came, began, left, back}]; back < 0: no result came by. */
const hopsOf = ({ hops, hop_nodes: nodes }, i) => (hops?.[i] ?? []).map(([place, came, began, left, back]) => ({ node: nodes[place], came, began, left, back }));

/** Calls add(phase, row, from, to) for all that a task went through, up the way and back down. */
function walk(timeline, i, device, add) {
    const hops = hopsOf(timeline, i);
    let lower = device;
    let at = timeline.started_ns[i] + timeline.local_ns[i];
    let [transmit, queue, remote] = [timeline.transmit_ns[i], timeline.queue_ns[i], timeline.remote_ns[i]]; // what of them is yet to come
    add('local', `${device}: computing`, timeline.started_ns[i] + timeline.wait_ns[i], at);
    for (const { node, came, began, left } of hops) {
        add('transmit', `${lower}: link`, at, came);
        add('queue', `${node}: queue`, came, began);
        add('remote', `${node}: computing`, began, left);
        transmit -= came - at;
        queue -= began - came;
        remote -= left - began;
        [lower, at] = [node, left];
    }
    add('transmit', `${lower}: link`, at, at += transmit);
    add('queue', 'station: queue', at, at += queue);
    add('remote', 'station: computing', at, at += remote);
    for (const { node, back } of [...hops].reverse())
        if (back >= 0) {
            add('return', `${node}: link`, at, back);
            at = back;
        }
    add('return', `${device}: link`, at, timeline.ended_ns[i]);
}

/** Bars {row, from, to, phase, task} of all tasks, rows in the order in which they are drawn. */
function barsOf(timeline, streams) {
    const devices = [...new Set([...timeline.stream].sort((a, b) => a - b).map((index) => streams[index].device))];
    const relays = (timeline.hop_nodes ?? []).filter((node) => !devices.includes(node));
    const lanes = (node) => [`${node}: queue`, `${node}: computing`, `${node}: failed`, `${node}: link`];
    const rows = [...devices.flatMap(lanes), ...relays.flatMap(lanes), 'station: queue', 'station: computing'];
    const rowOf = new Map(rows.map((name, i) => [name, i]));
    const bars = [];
    timeline.task.forEach((_, i) => {
        const { device } = streams[timeline.stream[i]];
        const add = (phase, row, from, to) => {
            if (to > from)
                bars.push({ row: rowOf.get(row), from, to, phase, task: i });
        };
        if (timeline.failed[i]) // how far it came is not known
            add('failed', `${device}: failed`, timeline.started_ns[i], Math.max(timeline.ended_ns[i], timeline.started_ns[i] + 1));
        else
            walk(timeline, i, device, add);
    });
    const used = [...new Set(bars.map((bar) => bar.row))].sort((a, b) => a - b); // a device that computes nothing has no row
    bars.forEach((bar) => { bar.row = used.indexOf(bar.row); });
    return { rows: used.map((row) => rows[row]), bars };
}

/** Gives every bar a lane on which it overlaps no other; -1 where a row has too many. */
function layOut(rows, bars) {
    const ends = rows.map(() => []);
    bars.sort((a, b) => a.from - b.from);
    for (const bar of bars) {
        const lanes = ends[bar.row];
        let lane = lanes.findIndex((end) => end <= bar.from);
        if (lane < 0)
            lane = lanes.length < mostLanes ? lanes.length : -1;
        bar.lane = lane;
        if (lane >= 0)
            lanes[lane] = bar.to;
    }
    const first = [];
    let next = 0;
    for (const lanes of ends) {
        first.push(next);
        next += Math.max(lanes.length, 1);
    }
    return { first, lanes: next };
}

const nameOf = (streams, timeline, i) => `${streams[timeline.stream[i]].stream} #${timeline.task[i]}`;

export function timelineFigure(detail, streams) {
    const { timeline } = detail;
    const { rows, bars } = barsOf(timeline, streams);
    const { first, lanes } = layOut(rows, bars);
    const kinds = timeline.failed.some(Boolean) ? [...phases, 'failed'] : phases;
    const colour = (style, kind) => style.phases[kind] ?? style.bad;
    const shown = bars.filter((bar) => bar.lane >= 0);
    const end = Math.max(...timeline.ended_ns);
    const begin = Math.min(...timeline.started_ns);
    const sight = { from: begin, to: timeline.ended_ns[Math.min(firstSight, timeline.ended_ns.length) - 1] ?? end };
    const rowNames = new Map(rows.map((name, i) => [first[i], name]));
    let chart;

    const look = (from, to) => {
        const long = Math.min(to - from, end - begin);
        sight.from = Math.max(begin, Math.min(from, end - long));
        sight.to = sight.from + long;
        chart.dispatchAction({ type: 'dataZoom', startValue: sight.from, endValue: sight.to });
    };
    const zoom = (factor) => {
        const middle = (sight.from + sight.to) / 2;
        const half = ((sight.to - sight.from) * factor) / 2;
        look(middle - half, middle + half);
    };
    const move = (part) => look(sight.from + part * (sight.to - sight.from), sight.to + part * (sight.to - sight.from));
    const button = (text, label, action) => element('button', { type: 'button', 'aria-label': label, title: label, onclick: action }, text);

    const option = (style) => ({
        grid: { left: 8 + 7.2 * Math.max(...rows.map((name) => name.length)), right: 24, top: 40, bottom: 70 },
        legend: { type: 'scroll', pageTextStyle: { color: style.text }, pageIconColor: style.text, top: 0, left: 0, textStyle: { color: style.text }, data: kinds, selectedMode: true },
        tooltip: {
            confine: true, backgroundColor: style.raised, borderColor: style.line, textStyle: { color: style.text }, renderMode: 'richText',
            formatter: ({ data }) => {
                const i = data.value[4];
                return `${nameOf(streams, timeline, i)}\n${data.phase}: ${duration(data.value[2] - data.value[1])}` +
                    `\nfrom ${duration(data.value[1])}\n${timeline.failed[i] ? 'failed after' : 'whole delay:'} ${duration(timeline.ended_ns[i] - timeline.started_ns[i])}`;
            },
        },
        xAxis: axis(style, { type: 'value', min: begin, max: end, name: 'time since the run began', nameGap: 24,
            axisLabel: { formatter: duration, color: style.text } }),
        yAxis: axis(style, { type: 'category', inverse: true, data: Array.from({ length: lanes }, (_, i) => i), axisTick: { show: false },
            axisLabel: { interval: (_, lane) => rowNames.has(Number(lane)), formatter: (lane) => rowNames.get(Number(lane)) ?? '', hideOverlap: false },
            splitLine: { show: true, interval: (_, lane) => rowNames.has(Number(lane) + 1), lineStyle: { color: style.line } } }),
        dataZoom: [
            { type: 'slider', filterMode: 'weakFilter', startValue: sight.from, endValue: sight.to, height: 22, bottom: 8, showDataShadow: false,
                labelFormatter: duration, textStyle: { color: style.text }, borderColor: style.line },
            { type: 'inside', filterMode: 'weakFilter', startValue: sight.from, endValue: sight.to, zoomOnMouseWheel: 'ctrl' },
        ],
        series: kinds.map((phase) => ({
            name: phase, type: 'custom', clip: true, itemStyle: { color: colour(style, phase) }, dimensions: ['lane', 'from', 'to', 'duration', 'task'],
            encode: { x: [1, 2], y: 0 }, emphasis: { focus: 'none' },
            data: shown.filter((bar) => bar.phase === phase).map((bar) => ({
                phase, value: [first[bar.row] + bar.lane, bar.from, bar.to, bar.to - bar.from, bar.task],
            })),
            renderItem: (params, api) => {
                const [x, y] = api.coord([api.value(1), api.value(0)]);
                const [right] = api.coord([api.value(2), api.value(0)]);
                const area = params.coordSys;
                const shape = clip({ x, y: y - laneHeight / 2 + 1, width: Math.max(right - x, 0.7), height: laneHeight - 2 },
                    { x: area.x, y: area.y, width: area.width, height: area.height });
                return shape && {
                    type: 'rect', shape,
                    style: { fill: colour(style, phase) },
                    emphasis: { style: { stroke: style.text, lineWidth: 2 } },
                };
            },
        })),
    });

    return figure({
        title: 'Timeline',
        about: 'Each bar is one phase of one task. Where several tasks wait or travel at once they stand below each other.' +
            (shown.length < bars.length ? ` ${count(bars.length - shown.length)} phases beyond ${mostLanes} at once are not drawn.` : ''),
        hint: 'Drag the slider, use the buttons, or hold Ctrl and turn the wheel.',
        label: `Timeline of ${timeline.task.length} tasks over ${rows.join(', ')}`,
        height: () => lanes * laneHeight + 130,
        option,
        controls: () => [button('−', 'see more time', () => zoom(2)), button('+', 'see less time', () => zoom(0.5)),
            button('◀', 'earlier', () => move(-0.5)), button('▶', 'later', () => move(0.5)), button('all', 'see all of it', () => look(begin, end))],
        ready: (made) => {
            chart = made;
            const parts = new Map(); // which bars belong to a task, so that all light up together
            kinds.forEach((phase, seriesIndex) => shown.filter((bar) => bar.phase === phase).forEach((bar, dataIndex) => {
                parts.set(bar.task, [...(parts.get(bar.task) ?? []), { seriesIndex, dataIndex }]);
            }));
            const light = (type) => ({ data }) => parts.get(data?.value?.[4])?.forEach((part) => chart.dispatchAction({ type, ...part }));
            chart.on('mouseover', light('highlight'));
            chart.on('mouseout', light('downplay'));
            chart.on('datazoom', () => {
                const seen = chart.getOption().dataZoom[0];
                sight.from = seen.startValue;
                sight.to = seen.endValue;
            });
        },
        table: () => table('Tasks in the order of their beginning', [
            ['task', (i) => nameOf(streams, timeline, i)],
            ['began', (i) => duration(timeline.started_ns[i]), 'number'],
            ...phases.map((phase) => [phase, (i) => duration(timeline[`${phase}_ns`][i]), 'number']),
            ['delay', (i) => duration(timeline.ended_ns[i] - timeline.started_ns[i]), 'number'],
            ['ended', (i) => (timeline.failed[i] ? 'failed' : 'well')],
        ], timeline.task.map((_, i) => i), 200),
    });
}
