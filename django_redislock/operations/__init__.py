"""Operations: an operator's queries and actions, shared by the admin and the commands."""
