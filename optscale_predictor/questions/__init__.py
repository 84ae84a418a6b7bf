"""Questions: what is asked, sets of them, prompts, near-duplicates, gold answers; and answers, read and compared."""
