"""All state of ours, in one database: the shared limit, the ledger of creates, the inbox and its cursors."""
