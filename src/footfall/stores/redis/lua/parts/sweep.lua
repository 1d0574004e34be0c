-- When a site is kept for another time than before, what it has already is brought into line: what has had its time is erased, all
-- else shall live as long as its tier is kept now. Some buckets a commit; no answer depends on it, as reads reckon what is kept.

local sweep
do -- a script has room for 200 local names
  local function begin_sweep()
    local seconds, before, longest = keeps(), state.keep or keeps(), state.longest or {}
    for i = 1, #KEPT do longest[i] = math.max(longest[i] or 0, before[i], seconds[i]) end
    state.keep, state.longest, state.sweep = seconds, longest, { 1, 0 }
  end

  local function is_kept_as_before()
    for i, seconds in ipairs(keeps()) do
      if not state.keep or state.keep[i] ~= seconds then return false end
    end
    return true
  end

  -- The keys of a bucket, but for those of visitors, and of hours that are not folded: these end soon.
  local function keys_in(tier, start)
    local keys = { bucket_key(tier, start) }
    if tier == 'second' then
      for part = 1, tonumber(call('HGET', keys[1], MORE) or 0) do keys[#keys + 1] = second_key(start, part) end
    elseif tier == 'hour' or tier == 'day' then
      for _, name in ipairs(state.dims or {}) do keys[#keys + 1] = trait_key(tier, start, name) end
      keys[#keys + 1] = pages_key(tier, start)
      if tier == 'day' then keys[#keys + 1] = places_key(start) end
    end
    return keys
  end

  -- Visitors of an hour or day.
  local function sweep_visitors(tier, start)
    local numbers, keys = numbers_key(tier, start), {}
    if start >= oldest_visitors(tier) then
      call('EXPIRE', numbers, visitor_life(tier, start))
      return 1
    end
    for _, page in ipairs(is_sketched(tier, start) and call('HKEYS', numbers) or {}) do
      keys[#keys + 1] = sketch_key(tier, start, page)
    end
    keys[#keys + 1] = numbers
    each_run('UNLINK', keys)
    return #keys
  end

  local function has_unfolded(day)
    for _, each in ipairs(state.fresh or {}) do
      if start_of('day', each[1]) == day then return true end
    end
  end

  -- One bucket; gives back how many keys were looked at, or nil where it is not its turn yet, as hours of it are to be folded first.
  local function sweep_bucket(tier, start)
    if tier == 'minute' and (start == state.open or start == state.prev) then return 1 end
    local is_over = start + use_of(tier) <= now
    if is_over and tier == 'day' and has_unfolded(start) then return nil end
    local looked = (tier == 'hour' or tier == 'day') and sweep_visitors(tier, start) or 0
    local keys = keys_in(tier, start)
    if call('EXISTS', unpack(keys)) == 0 then return looked + 1 end
    if is_over then
      each_run('UNLINK', keys)
    else
      for _, each in ipairs(keys) do call('EXPIRE', each, life(tier, start)) end
    end
    return looked + #keys
  end

  function sweep(most)
    if not is_kept_as_before() then begin_sweep() elseif not state.sweep then return end
    local place, start = state.sweep[1], state.sweep[2]
    while most > 0 and KEPT[place] do
      local tier = KEPT[place]
      local lived = math.max(state.longest[place], use_of(tier)) + SLACK
      start = math.max(start, start_of(tier, math.max(state.first, now - lived)))
      local looked = start <= reach() and sweep_bucket(tier, start)
      if looked then
        most, start = most - looked, start + WIDTH[tier]
      elseif start <= reach() then
        break
      else
        place, start = place + 1, 0
      end
    end
    state.sweep = KEPT[place] and { place, start } or nil
    if not state.sweep then state.longest = nil end
    save()
  end
end
