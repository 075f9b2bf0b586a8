/** The data of events, and the last wish when to come back. */
export declare class EventText {
    #private;
    retryMs: number | null;
    /** Takes the next piece; returns the data of every event that it completes. */
    push(piece: string): string[];
}
