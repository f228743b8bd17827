// SPDX-License-Identifier: Apache-2.0
// Puts the page together from the document in it.
import { leave, show } from './charts.js';
import { choice, element } from './dom.js';
import { runPart } from './run.js';
import { sweepPart } from './sweep.js';

const data = JSON.parse(document.getElementById('data').textContent);
const page = document.getElementById('page');

function titleOf({ runs }) {
    const names = [...new Set(runs.map((run) => run.scenario || run.scenario_path))];
    const name = names.slice(0, 3).join(', ') + (names.length > 3 ? ' …' : '');
    return runs.length === 1 ? `${name}: run ${runs[0].run}` : `${name}: ${runs.length} runs`;
}

/** One run at a time, chosen by its number. */
function runsPart(runs) {
    const place = element('div', {});
    const see = (index) => {
        leave(place);
        place.replaceChildren(runPart(runs[index]));
        if (place.isConnected)
            show(place);
    };
    const shown = runs.map((run, i) => [run, i]).filter(([run]) => run.detail);
    see(0);
    if (runs.length === 1)
        return element('div', {}, place);
    return element('section', {}, element('h2', {}, 'One run'),
        choice('run', shown.map(([run, i]) => [String(i), `${run.run}: ${run.partitioner ?? 'no plan'}, ${run.scheduler ?? 'no scheduler'}, seed ${run.seed}`]), '0',
            (value) => see(Number(value))), place);
}

function start() {
    if (data.format !== 'napm-report/1')
        throw new Error('this page holds no report; make it with napm report');
    const title = titleOf(data);
    document.title = `${title} – NAPM`;
    const several = data.runs.length > 1;
    page.append(
        element('header', {}, element('h1', {}, title)),
        ...(several ? [sweepPart(data)] : []),
        runsPart(data.runs),
        element('footer', {}, `Made by napm ${data.runs[0]?.platform_version ?? ''} on ${data.made}. Charts: Apache ECharts.`));
    show(page);
    page.dataset.ready = 'yes';
}

try {
    start();
} catch (error) {
    page.replaceChildren(element('p', { class: 'banner bad', role: 'alert' }, `This report cannot be shown: ${error.message}`));
    page.dataset.ready = 'failed';
    throw error;
}
