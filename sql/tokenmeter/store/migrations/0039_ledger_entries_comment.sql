-- What the ledger refused is on the topic and so in the table: its sum alone is the balance only of an account without
-- alerts of kind conflict or invalid.
ALTER TABLE tokenmeter.ledger_entries
    MODIFY COMMENT 'The journal of every account, with what the ledger refused: those are named by alerts of kind conflict and invalid. Without them the sum of amount where scope is null is the balance in account_states; read it FINAL'
