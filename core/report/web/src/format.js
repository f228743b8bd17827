// SPDX-License-Identifier: Apache-2.0
// Numbers for people, as the command prints them.
const steps = {
    duration: [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']],
    rate: [[125e6, 'Gbit/s'], [125e3, 'Mbit/s'], [125, 'kbit/s'], [0.125, 'bit/s']],
    energy: [[1, 'J'], [1e-3, 'mJ'], [1e-6, 'µJ'], [1e-9, 'nJ']],
    size: [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']],
};

const base = { duration: 's', rate: 'bit/s', energy: 'J', size: 'B' };

/** Three significant digits, without an exponent for what people write without. */
function digits(number) {
    const size = Math.abs(number);
    if (size !== 0 && (size >= 1e7 || size < 1e-3))
        return number.toPrecision(3);
    return String(Number(number.toPrecision(3)));
}

export function format(kind, number) {
    if (number === null || number === undefined || !Number.isFinite(number))
        return '–';
    if (kind === 'share')
        return `${digits(100 * number)} %`;
    if (kind === 'count')
        return Math.round(number).toLocaleString('en');
    if (!steps[kind])
        return digits(number);
    if (number === 0)
        return `0 ${base[kind]}`;
    const [scale, unit] = steps[kind].find(([least]) => Math.abs(number) >= least) ?? steps[kind].at(-1);
    return `${digits(number / scale)} ${unit}`;
}

export const duration = (ns) => format('duration', ns);
export const energy = (joules) => format('energy', joules);
export const share = (part) => format('share', part);
export const count = (number) => format('count', number);

/** "+5.3 %": how far `predicted` lies from `measured`. */
export function difference(predicted, measured) {
    if (!Number.isFinite(predicted) || !Number.isFinite(measured) || !measured)
        return '–';
    const part = (predicted - measured) / measured;
    const text = (100 * Math.abs(part)).toFixed(1);
    return `${text === '0.0' ? '±' : part > 0 ? '+' : '−'}${text} %`;
}
