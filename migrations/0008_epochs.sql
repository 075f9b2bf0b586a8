-- In which epoch a board's Redis was last found to hold what the ledger holds. A Redis that says an earlier one was left behind.
CREATE TABLE board_epochs (
    board VARCHAR(50) PRIMARY KEY,
    epoch BIGINT NOT NULL
);
