"""What each verb of an edit plan does to layers and plan; `stages.edit` calls them in order."""
