-- A site's now and, where it is known, when it was born, its newest and first second or bucket, and the minutes that are not
-- folded yet (-1: none): [now] or [now, born, newest, first, open, prev]. Changes nothing.
if not state then return { now } end
return { now, state.born, reach(), state.first, state.open, state.prev or -1 }
