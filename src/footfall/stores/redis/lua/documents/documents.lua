-- The documents of a kind. KEY is a hash: "d" and a document's key to "version:until:value", until -1 where it has no end; "v"
-- the newest version; "n" the token of the last change and the version that came of it. Beside it a sorted set has the keys of
-- those that end, by the second.
local ENDS = KEY .. ':ends'
local time = clock()

-- A record's version, until and value; nil where there is none or its time is over.
local function opened(record)
  if not record then return nil end
  local version, until_, at = record:match('^(%d+):(-?%d+):()')
  if tonumber(until_) >= 0 and tonumber(until_) <= time then return nil end
  return tonumber(version), tonumber(until_), record:sub(at)
end
