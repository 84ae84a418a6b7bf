"""Parts of what OpenAI-compatible servers reply, read in every form that is in use; for generators and judges alike."""
