// SPDX-License-Identifier: Apache-2.0
// A chart with its title, its explanation and the same figures as a table; redrawn for dark, light and paper.
import * as echarts from 'echarts/core';
import { BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart } from 'echarts/charts';
import { DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import { element } from './dom.js';

echarts.use([BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, DataZoomComponent, GridComponent, LegendComponent,
    MarkLineComponent, TooltipComponent, VisualMapComponent, SVGRenderer]);

export const clip = echarts.graphic.clipRectByRect;
export const phases = ['local', 'transmit', 'queue', 'remote', 'return'];

// Okabe and Ito's colours, which people with any colour vision can tell apart; lighter where the ground is dark.
const looks = {
    light: {
        text: '#1c2733', faint: '#5b6875', line: '#d7dde4', ground: '#ffffff', raised: '#ffffff', bad: '#b3261e',
        series: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#5b6875'],
        phases: { local: '#0072b2', transmit: '#e69f00', queue: '#cc79a7', remote: '#009e73', return: '#56b4e9' },
        heat: ['#f2f6fa', '#9ecae1', '#4292c6', '#08519c'],
    },
    dark: {
        text: '#e6eaee', faint: '#a0acb8', line: '#36414d', ground: '#161c23', raised: '#222b35', bad: '#ff8a80',
        series: ['#4aa8e0', '#f08a4b', '#2fc79b', '#e2a3c5', '#f0b93a', '#8fd0f5', '#a0acb8'],
        phases: { local: '#4aa8e0', transmit: '#f0b93a', queue: '#e2a3c5', remote: '#2fc79b', return: '#8fd0f5' },
        heat: ['#1d2731', '#1f4e79', '#3b8ac4', '#b7e0ff'],
    },
};
const paper = 680; // width of a chart on paper
const usualHeight = 340;
const paperHeight = 250; // of a chart of the usual height there: so three stand on a page

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const drawn = new Set();
let printing = false;
let saving = false; // a picture for a file, which is read on white
const onPaper = () => printing || saving;

const look = () => looks[dark.matches && !onPaper() ? 'dark' : 'light'];

export function lineStyle(number) {
    return ['solid', 'dashed', 'dotted'][Math.floor(number / 7) % 3];
}

// What the page is set in; named, because the widths of texts are reckoned before they stand in the page.
const fontFamily = 'system-ui, sans-serif';

/** What every chart has; `own` goes over it. */
function common(style) {
    return {
        animation: false,
        textStyle: { fontFamily, color: style.text },
        color: style.series,
        grid: { left: 8, right: 24, top: 62, bottom: 40, containLabel: true },
        legend: { type: 'scroll', top: 0, left: 0, textStyle: { color: style.text }, pageTextStyle: { color: style.text },
            pageIconColor: style.text, inactiveColor: style.faint },
        tooltip: { confine: true, backgroundColor: style.raised, borderColor: style.line, textStyle: { color: style.text },
            renderMode: 'richText' },
    };
}

export function axis(style, own) {
    return {
        nameLocation: 'middle', nameGap: 28, nameTextStyle: { color: style.faint },
        axisLine: { lineStyle: { color: style.faint } }, axisTick: { lineStyle: { color: style.line } },
        axisLabel: { color: style.text, hideOverlap: true, ...own.axisLabel },
        splitLine: { lineStyle: { color: style.line } },
        ...Object.fromEntries(Object.entries(own).filter(([key]) => key !== 'axisLabel')),
    };
}

/** An axis of names: aslant where they would not fit side by side in a chart of that width. */
export function names(style, width, list, own = {}) {
    const longest = Math.max(0, ...list.map((name) => String(name).length));
    const fits = longest * 7 + 8 <= (width - 90) / Math.max(list.length, 1);
    return axis(style, { type: 'category', data: list, ...own, ...(fits ? {} : { nameGap: 28 + Math.min(longest, 24) * 4 }),
        axisLabel: { interval: list.length > 40 ? 'auto' : 0, hideOverlap: list.length > 40, rotate: fits ? 0 : 35, width: 170, overflow: 'truncate' } });
}

const mostRows = 24;

/** Height of a chart with so many rows: beyond some, a slider beside it (see rowSlider) takes the reader on. */
export const rowsHeight = (rows) => Math.max(usualHeight, Math.min(rows, mostRows) * 26 + 96);

export function rowSlider(style, rows) {
    return rows > mostRows && [{ type: 'slider', yAxisIndex: 0, startValue: 0, endValue: mostRows - 1, left: 0, width: 14, filterMode: 'none',
        brushSelect: false, showDetail: false, showDataShadow: false, borderColor: style.line }];
}

/** The y axis's name stands over it, upright. */
export function upright(style, own) {
    return axis(style, { nameLocation: 'end', nameGap: 12, ...own, nameTextStyle: { color: style.faint, align: 'left' } });
}

function draw(figure) {
    const style = look();
    const wanted = typeof figure.height === 'function' ? figure.height() : figure.height;
    const height = printing && wanted === usualHeight ? paperHeight : wanted;
    const width = printing ? paper : figure.place.clientWidth;
    const option = { ...common(style), ...figure.option(style, width) };
    const more = onPaper() ? forPaper(option, style, width) : 0;
    figure.place.style.height = `${height + more}px`;
    figure.chart.resize({ height: height + more, width });
    figure.chart.setOption(option, { notMerge: true });
}

/** On paper there is nothing to drag, and a legend cannot be paged: its further rows need as much height as is returned. */
function forPaper(option, style, width) {
    option.backgroundColor = style.ground;
    option.dataZoom = option.dataZoom?.map((zoom) => ({ ...zoom, show: false }));
    const entries = option.legend.show === false ? [] : option.legend.data ?? [...new Set(option.series.map(({ name }) => name))];
    const needed = entries.reduce((sum, entry) => sum + 7 * String(entry.name ?? entry).length + 45, 0);
    const more = 22 * Math.max(Math.ceil(needed / width) - 1, 0);
    option.legend = { ...option.legend, type: 'plain' };
    option.grid = { ...option.grid, top: option.grid.top + more };
    return more;
}

/**
 * {title, about, hint, label, height, option(style, width), table(), controls(redraw), ready(chart)} as a section; `hint` says
 * what a reader at a screen can do; `height` may be a function. `table()` gives the figures in words and numbers.
 */
export function figure(given) {
    const place = element('div', { class: 'chart', role: 'img', 'aria-label': given.label ?? given.title });
    const rows = element('div', {});
    const tableOf = element('details', { class: 'figures' }, element('summary', {}, 'The same as a table'), rows);
    const own = { height: usualHeight, ...given, place };
    const refill = () => rows.replaceChildren(given.table());
    const redraw = () => {
        if (own.chart)
            draw(own);
        refill();
    };
    const save = element('button', { type: 'button', class: 'save', onclick: () => {
        saving = true;
        draw(own);
        const link = element('a', { href: own.chart.getDataURL({ type: 'svg' }), download: `${given.title}.svg` });
        saving = false;
        draw(own);
        link.click();
    } }, 'Save as SVG');
    const section = element('section', { class: 'card' }, element('h2', {}, given.title),
        given.about && element('p', { class: 'note' }, given.about, given.hint && element('span', { class: 'hint' }, ` ${given.hint}`)),
        given.controls && element('div', { class: 'controls' }, ...given.controls(redraw)), place, tableOf, save);
    refill();
    section.show = () => { // once it stands in the page, where its width is known
        own.chart = echarts.init(place, null, { renderer: 'svg', width: place.clientWidth || paper,
            height: typeof own.height === 'function' ? own.height() : own.height });
        draw(own);
        drawn.add(own);
        given.ready?.(own.chart);
    };
    section.leave = () => {
        drawn.delete(own);
        own.chart?.dispose();
    };
    return section;
}

/** Shows the sections of a part of the page that was just put there. */
export function show(part) {
    part.querySelectorAll('section.card').forEach((section) => section.show?.());
}

export function leave(part) {
    part.querySelectorAll('section.card').forEach((section) => section.leave?.());
}

const drawAll = () => drawn.forEach(draw);
dark.addEventListener('change', drawAll);
window.addEventListener('beforeprint', () => { printing = true; drawAll(); });
window.addEventListener('afterprint', () => { printing = false; drawAll(); });
let waiting;
window.addEventListener('resize', () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 100);
});
