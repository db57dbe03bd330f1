"""Operations: the queries and actions of an operator, in the admin and at a terminal alike."""
