"""How often deliveries are claimed, the same in every lane. Seconds."""

POLL_S = 0.1  # what others accepted or gave back, and what falls due, is noticed so late at most
LINGER_S = 0.005  # after a ring, so that one claim serves many that come free together
REFRESH_S = 1.0  # the partners as the database has them, and what is to be buried
RECOVER_S = 0.5  # before the database is asked again after it failed
