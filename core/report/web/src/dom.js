// SPDX-License-Identifier: Apache-2.0
// Elements. Texts only ever become text nodes or attributes: what stands in the data is never read as HTML.

/** element('p', {class: 'note'}, 'text', other) */
export function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes))
        if (key.startsWith('on'))
            node.addEventListener(key.slice(2), value);
        else if (value !== undefined && value !== null && value !== false)
            node.setAttribute(key, value === true ? '' : value);
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
}

/** `columns`: [title, row => text, 'number'?] */
export function table(caption, columns, rows, most = 500) {
    const head = element('tr', {}, ...columns.map(([title, , kind]) => element('th', { scope: 'col', class: kind }, title)));
    const cells = (row) =>
        columns.map(([, text, kind], i) => element(i ? 'td' : 'th', { class: kind, scope: i ? undefined : 'row' }, String(text(row) ?? '–')));
    const body = rows.slice(0, most).map((row) => element('tr', {}, ...cells(row)));
    return element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
        element('table', {}, element('caption', {}, caption), element('thead', {}, head), element('tbody', {}, ...body)),
        rows.length > most && element('p', { class: 'note' }, `The first ${most} of ${rows.length} rows.`));
}

/** A labelled choice; calls `changed` with the value chosen. */
export function choice(label, options, chosen, changed) {
    const select = element('select', { onchange: (event) => changed(event.target.value) },
        ...options.map(([value, text]) => element('option', { value, selected: value === chosen }, text)));
    return element('label', { class: 'choice' }, `${label} `, select);
}

let groups = 0;

/** One of a few, all in sight. */
export function switches(label, options, chosen, changed) {
    const name = `switch-${groups++}`;
    return element('fieldset', { class: 'switches' }, element('legend', {}, label), ...options.map(([value, text]) =>
        element('label', {}, element('input', { type: 'radio', name, value, checked: value === chosen, onchange: () => changed(value) }),
            element('span', {}, text))));
}
