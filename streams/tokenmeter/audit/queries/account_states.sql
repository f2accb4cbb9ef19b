-- The newest state of each of some accounts.
SELECT
    account_id,
    next_offset,
    version,
    balance,
    overdraft,
    granted,
    credit,
    used,
    billed_unpaid,
    charged,
    provisional,
    calls,
    unpriced,
    allowed,
    reason
FROM tokenmeter.account_states FINAL
WHERE account_id IN {accounts:Array(String)}
