-- Traits of the pages that have a place in a day. A page's traits of a day, or of an hour, are one text, in which each value
-- stands as \1, a letter for its dimension, the value, \2 and its views. What a commit counts does not go there, but into one
-- hash an hour, whose fields are short: the page's number in the day, the letter, the value. When the hour has passed it is
-- folded into the texts of hour and day, page by page. So a commit writes no more than what it counts, and what is kept for long
-- takes a quarter of the memory.
--
-- A day's text has all the page's values at once, with 0 views where they are not folded yet: it tells which fields there are.

-- What may not stand in a value there, and what stands for it.
local ESCAPED, UNESCAPED = { ['\1'] = '\3a', ['\2'] = '\3b', ['\3'] = '\3c' }, { a = '\1', b = '\2', c = '\3' }
local LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

local function letter_of(place)
  if place > #LETTERS then error('too many dimensions') end
  return LETTERS:sub(place, place)
end

-- A value as it stands in fields and, between \1 and \2, in texts.
local function word_of(letter, value)
  if value:find('[\1-\3]') then value = value:gsub('[\1-\3]', ESCAPED) end
  return letter .. value
end

local function value_of(word)
  local value = word:sub(2)
  return value:find('\3', 1, true) and value:gsub('\3(.)', UNESCAPED) or value
end

-- A text's words and their views, of all dimensions or those with a letter.
local function words_in(all, letter)
  local words, views = {}, {}
  for word, n in string.gmatch(all or '', '\1(' .. (letter or '.') .. '[^\2]*)\2(%d+)') do
    words[#words + 1], views[#views + 1] = word, tonumber(n)
  end
  return words, views
end

local function written(words, views)
  local pieces = {}
  for i = 1, #words do
    pieces[4 * i - 3], pieces[4 * i - 2], pieces[4 * i - 1], pieces[4 * i] = '\1', words[i], '\2', text[views[i]]
  end
  return table.concat(pieces)
end

local function is_fresh(hour)
  for _, each in ipairs(state.fresh or {}) do
    if each[1] == hour then return true end
  end
  return false
end

-- What a page with a number has in an hour's fresh hash, of these words.
local function fresh_of(hour, number, words)
  local fields = {}
  for i = 1, #words do fields[i] = number .. words[i] end
  local found = asked('HMGET', fresh_key(hour), fields)
  for i = 1, #words do found[i] = tonumber(found[i] or 0) end
  return found, fields
end

-- A page's views by word in an hour or day, folded or not, of all dimensions or one.
local function traits_of(tier, start, page, letter)
  local sums, day = {}, start_of('day', start)
  local words, views = words_in(call('HGET', pages_key(tier, start), page), letter)
  for i = 1, #words do sums[words[i]] = views[i] end
  for _, each in ipairs(state.fresh or {}) do
    local hour = each[1]
    if start_of(tier, hour) == start then
      local number = call('HGET', places_key(day), page)
      if tier == 'hour' then words = words_in(call('HGET', pages_key('day', day), page), letter) end
      local found = number and fresh_of(hour, number, words) or {}
      for i = 1, #found do
        if found[i] > 0 then sums[words[i]] = (sums[words[i]] or 0) + found[i] end
      end
    end
  end
  return sums
end
