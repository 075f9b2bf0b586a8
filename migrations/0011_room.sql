-- Each award moves a user's score. Room for the next version of the row on its own page: so none of the five indexes changes, and
-- after a checkpoint one page is written ahead instead of six. Pages that are full already find room once a row of theirs has moved.
ALTER TABLE users SET (fillfactor = 90);
