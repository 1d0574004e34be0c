-- How many visitors had a view in the current minute or the four before it: [now, visitors].
if not state then return { now, 0 } end
local sketches, minute = {}, start_of('minute', now)
for i = 1, PRESENCE_MINUTES do sketches[i] = sketch_key('minute', minute - 60 * (i - 1), WHOLE) end
return { now, call('PFCOUNT', unpack(sketches)) }
