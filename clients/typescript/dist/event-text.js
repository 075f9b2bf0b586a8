// The text of server-sent events (WHATWG HTML, section 9.2.6), as it comes in pieces.
/** The data of events, and the last wish when to come back. */
export class EventText {
    retryMs = null;
    #rest = '';
    #data = [];
    /** Takes the next piece; returns the data of every event that it completes. */
    push(piece) {
        const lines = (this.#rest + piece).split('\n');
        this.#rest = lines.pop() ?? '';
        return lines.flatMap((line) => this.#line(line.endsWith('\r') ? line.slice(0, -1) : line));
    }
    #line(line) {
        if (line === '') {
            const data = this.#data.join('\n');
            this.#data = [];
            return data === '' ? [] : [data];
        }
        const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
        if (name === 'data')
            this.#data.push(value);
        if (name === 'retry' && /^\d{1,9}$/.test(value))
            this.retryMs = Number(value);
        return [];
    }
}
