-- A site's now and, where it is known, when it was born, its newest second, and the minutes that are not folded yet (-1: none):
-- [now] or [now, born, newest, open, prev]. Changes nothing.
if not state then return { now } end
return { now, state.born, state.newest, state.open, state.prev or -1 }
