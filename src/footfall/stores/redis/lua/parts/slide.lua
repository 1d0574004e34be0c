-- The running sum: seconds that are too old leave it, each entry once, a bounded number of entries a call.

local UNUSED = 60 -- seconds after which another width may take the place of the one that is kept

local function save() call('SET', SITE, cmsgpack.pack(state)) end

-- Read what a change of the running sum comes to: new scores to add, and pages that fall to nothing.
local function shifted(pages, changes)
  local scores = asked('ZMSCORE', window_key(), pages)
  local added, gone = {}, {}
  for i = 1, #pages do
    local score = (scores[i] or 0) - changes[i]
    if score < 0 then
      added[#added + 1] = text[score]
      added[#added + 1] = pages[i]
    else
      gone[#gone + 1] = pages[i]
    end
  end
  return added, gone
end

local function shift(added, gone)
  in_runs('ZADD', window_key(), added, RUN)
  in_runs('ZREM', window_key(), gone, RUN)
end

-- Begin to build the running sum of the window anew from its seconds, under a new width if there is one.
local function rebuild(start)
  call('UNLINK', window_key())
  state.width, state.used = args.window, state.newest
  state.low, state.part, state.high, state.hpart = start, 0, start, 0
  save()
end

-- Move whole parts from (t, part) on, to before second `stop`, into or out of the running sum, until `budget` entries are moved.
-- Gives back where it stopped and how much of the budget is left.
local function move(t, part, stop, sign, budget)
  local total, pages, changes, left = {}, {}, {}, budget
  while t < stop do
    local from = second_key(t, part)
    local size = call('HLEN', from)
    if size > 0 and left < budget and size > left then break end
    local last = 0
    if size > 0 then
      local entries = call('HGETALL', from)
      for i = 1, #entries, 2 do
        if entries[i] ~= MORE then
          total[entries[i]] = (total[entries[i]] or 0) + sign * entries[i + 1]
        elseif part == 0 then
          last = tonumber(entries[i + 1])
        end
      end
      if part > 0 then last = tonumber(call('HGET', second_key(t, 0), MORE)) end
    end
    left = left - size - 1
    if part < last then part = part + 1 else t, part = t + 1, 0 end
    if left <= 0 then break end
  end
  for page, change in pairs(total) do
    pages[#pages + 1], changes[#changes + 1] = page, change
  end
  local added, gone = shifted(pages, changes)
  shift(added, gone)
  return t, part, left
end

-- Bring the running sum to the window that ends now. Gives back whether it is there; if not, the script is to be called again,
-- and until then reads make up for what is missing. Also gives back by how many seconds the clock was found to be behind.
local function slide()
  local start, alarm = now - state.width + 1, 0
  local is_behind = time < state.newest - 60
  if state.newest < start then -- the site was idle: nothing in the sum is in the window, so it is dropped and not unwound
    if state.low ~= start or state.high or state.width ~= args.window then
      call('UNLINK', window_key())
      state.width, state.low, state.part, state.high, state.hpart = args.window, now - args.window + 1, 0, nil, nil
      save()
    end
  elseif is_behind and not state.behind then
    state.behind, alarm = true, state.newest - time
    rebuild(start)
  elseif state.low > start then
    rebuild(start)
  elseif state.width ~= args.window and now - state.used >= UNUSED then
    rebuild(now - args.window + 1)
  end
  if not is_behind then state.behind = nil end
  start = now - state.width + 1
  local budget = args.moved
  if state.high then
    state.high, state.hpart, budget = move(state.high, state.hpart, state.newest + 1, 1, budget)
    if state.high > state.newest then state.high, state.hpart = nil, nil end
    save()
    if state.high or budget <= 0 then return false, alarm end
  end
  if state.low < start then
    state.low, state.part, budget = move(state.low, state.part, start, -1, budget)
    save()
  end
  return state.low == start, alarm
end
