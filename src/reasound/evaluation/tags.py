"""Which AudioSet tags mean that a sound of our taxonomy was heard.

AudioSet (Gemmeke 2017) names 521 sounds, our taxonomy 113 foley classes, and neither divides the world as the other
does: a footstep on snow has no tag of its own, and a hammer on a plank is a Knock as much as a Hammer. A tag stands
here when a person who heard the right sound could fairly give it; "Animal", "Vehicle", "Music" and "Sound effect",
which fit half of everything, stand only where there is nothing more exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_STEP = "Walk, footsteps|Run|Shuffle|Crunch"
_KNOCK = "Knock|Tap|Thunk|Thump, thud|Wood|Whack, thwack|Door|Bang"
_RING = "Clang|Ding|Chink, clink|Ping|Cowbell|Hammer"
_BOOM = "Explosion|Boom|Burst, pop|Eruption|Bang"
_SHOT = "Gunshot, gunfire|Machine gun|Fusillade|Artillery fire|Cap gun"
_ENGINE = (
    "Engine|Medium engine (mid frequency)|Heavy engine (low frequency)|Idling|Accelerating, revving, vroom"
)
_WATER = "Water|Liquid|Stream|Trickle, dribble|Gurgling"
_WET = "Splash, splatter|Slosh|Liquid|Water"
_DRUM = "Drum|Percussion|Drum kit|Drum machine"
_BIRD = "Bird|Bird vocalization, bird call, bird song|Chirp, tweet"
_STEER = "Livestock, farm animals, working animals"

_TAGS = {
    "footsteps/indoor_floor": f"{_STEP}|Tap|Knock|Door",
    "footsteps/stone": f"{_STEP}|Tap",
    "footsteps/wood": f"{_STEP}|{_KNOCK}",
    "footsteps/metal": f"{_STEP}|{_KNOCK}|{_RING}",
    "footsteps/gravel": f"{_STEP}|Crushing|Scrape",
    "footsteps/dirt": f"{_STEP}|Thump, thud|Whack, thwack",
    "footsteps/grass": f"{_STEP}|Rustle|Rustling leaves|Scrape",
    "footsteps/sand": f"{_STEP}|Rub|Sanding|Scrape|Rustle",
    "footsteps/snow": f"{_STEP}|Crushing|Crumpling, crinkling",
    "footsteps/water": f"{_STEP}|{_WET}|Rowboat, canoe, kayak",
    "impact/wood": f"{_KNOCK}|Chop|Wood block|Arrow",
    "impact/metal": f"{_RING}|Bell|Tools|Glass|Mechanisms",
    "impact/stone": "Knock|Tap|Thunk|Whack, thwack|Crack|Smash, crash|Breaking|Chink, clink|Tick|Clicking",
    "impact/dirt": "Thump, thud|Thunk|Whack, thwack|Slap, smack|Knock|Bang|Arrow",
    "impact/body": "Slap, smack|Whack, thwack|Thump, thud|Thunk|Crack|Bang|Crushing",
    "impact/squish_crunch": "Squish|Crunch|Crushing|Chewing, mastication|Biting|Crack|Tearing|Crumpling, crinkling",
    "impact/crash": f"Smash, crash|Breaking|Clatter|Shatter|Crack|Crushing|Thump, thud|Rumble|{_BOOM}",
    "impact/ball": "Bouncing|Basketball bounce|Roll|Thump, thud|Skateboard|Slap, smack",
    "break/glass": "Glass|Shatter|Breaking|Smash, crash|Chink, clink",
    "break/wood": "Wood|Splinter|Crack|Breaking|Crunch|Tearing|Smash, crash|Crackle|Chop",
    "tool/hammer": f"Hammer|Tools|Chop|Wood block|Chopping (food)|{_KNOCK}",
    "tool/anvil": f"{_RING}|Tools|Bell",
    "tool/axe_chop": f"Chop|Chopping (food)|Splinter|{_KNOCK}",
    "tool/pickaxe": f"{_RING}|Tools|Breaking|Smash, crash|Whack, thwack|Glass",
    "tool/hand_saw": "Sawing|Filing (rasp)|Rub|Tools|Scrape|Sanding",
    "tool/power_tool": "Power tool|Chainsaw|Drill|Jackhammer|Sawing|Tools|Lawn mower|Light engine (high frequency)"
    "|Electric shaver, electric razor|Sanding",
    "tool/dig": "Scrape|Crunch|Tools|Walk, footsteps|Squish|Crushing|Rub|Crack",
    "door/open_close": "Door|Slam|Creak|Cupboard open or close|Drawer open or close|Sliding door|Knock|Thunk|Squeak"
    "|Clicking|Thump, thud",
    "door/metal_gate": "Door|Slam|Sliding door|Clang|Creak|Keys jangling|Squeak|Clatter|Scrape|Chink, clink"
    "|Drawer open or close",
    "foliage/rustle": "Rustle|Rustling leaves|Crumpling, crinkling|Tearing|Crackle|Crunch|Scrape",
    "object/coins_keys": "Coin (dropping)|Keys jangling|Jingle, tinkle|Chink, clink|Jingle bell|Cash register",
    "object/paper_cloth": "Crumpling, crinkling|Rustle|Tearing|Shuffling cards|Flap|Rub|Zipper (clothing)",
    "object/dishes": "Dishes, pots, and pans|Cutlery, silverware|Chink, clink|Glass|Clatter",
    "object/click": "Clicking|Camera|Single-lens reflex camera|Scissors|Tick|Typing|Computer keyboard|Tap|Mechanisms"
    "|Finger snapping",
    "object/squeak_pop": "Squeak|Plop|Burst, pop|Boing|Squeal",
    "object/scrape": "Scrape|Scratch|Rub|Filing (rasp)|Sanding|Squeak|Zipper (clothing)|Creak|Sliding door",
    "motion/whoosh": "Whoosh, swoosh, swish|Whip|Arrow|Wind",
    "weapon/gunshot": f"{_SHOT}|{_BOOM}|Firecracker",
    "weapon/automatic_gunfire": _SHOT,
    "weapon/gun_handling": "Mechanisms|Clicking|Camera|Single-lens reflex camera|Ratchet, pawl|Tools|Crack"
    "|Gunshot, gunfire|Slam|Clatter|Door",
    "weapon/sword_clash": f"{_RING}|Zing|Glass|Breaking|Cutlery, silverware|Smash, crash",
    "weapon/bow_catapult": "Arrow|Whoosh, swoosh, swish|Whip|Thunk|Creak|Whack, thwack|Ratchet, pawl|Mechanisms",
    "weapon/energy_weapon": "Whoosh, swoosh, swish|Zing|Sound effect|Explosion|Gunshot, gunfire|Electronic music",
    "explosion/blast": f"{_BOOM}|Artillery fire|Gunshot, gunfire|Thunder|Fireworks|Rumble",
    "explosion/fireworks": f"Fireworks|Firecracker|{_BOOM}|Gunshot, gunfire",
    "fire/crackle": "Fire|Crackle|Crack|Fireworks|Firecracker",
    "fire/burst": "Fire|Hiss|Whoosh, swoosh, swish|Crackle|Explosion|Eruption|Boom|Steam|Gush",
    "water/splash": f"{_WET}|Plop|Gush",
    "water/stream": f"{_WATER}|Waterfall|Pour|Gush",
    "water/waves": "Ocean|Waves, surf|Water",
    "water/bubbles_drip": "Drip|Plop|Gurgling|Boiling|Liquid|Water|Water tap, faucet|Raindrop|Trickle, dribble",
    "water/pour": "Pour|Fill (with liquid)|Water tap, faucet|Sink (filling or washing)|Trickle, dribble|Water|Liquid"
    "|Toilet flush|Bathtub (filling or washing)|Gush|Gurgling|Stream",
    "weather/rain": "Rain|Raindrop|Rain on surface",
    "weather/thunder": "Thunder|Thunderstorm|Rumble",
    "weather/wind": "Wind|Wind noise (microphone)|Rustling leaves|Howl|Whoosh, swoosh, swish",
    "ambience/forest_birds": f"{_BIRD}|Outside, rural or natural|Wild animals",
    "ambience/night_insects": "Cricket|Insect|Frog|Owl|Croak|Mosquito|Outside, rural or natural",
    "ambience/traffic": "Traffic noise, roadway noise|Car|Car passing by|Motor vehicle (road)|Vehicle|Truck|Bus"
    "|Vehicle horn, car horn, honking|Outside, urban or manmade",
    "ambience/crowd": "Crowd|Hubbub, speech noise, speech babble|Chatter|Children playing|Inside, public space"
    "|Speech|Conversation|Cheering|Children shouting|Child speech, kid speaking",
    "ambience/farmyard": f"{_STEER}|Fowl|Chicken, rooster|Cluck|Sheep|Cattle, bovinae|Goat|Horse|Pig",
    "animal/dog": "Dog|Bark|Yip|Bow-wow|Growling|Whimper (dog)|Howl",
    "animal/cat": "Cat|Meow|Purr|Caterwaul",
    "animal/cow": "Cattle, bovinae|Moo",
    "animal/horse": "Horse|Neigh, whinny|Snort",
    "animal/horse_hooves": "Clip-clop|Horse|Run|Walk, footsteps",
    "animal/sheep_goat": "Sheep|Goat|Bleat",
    "animal/pig": "Pig|Oink|Snort|Grunt",
    "animal/poultry": "Fowl|Chicken, rooster|Cluck|Crowing, cock-a-doodle-doo|Turkey|Gobble",
    "animal/duck_goose": "Duck|Quack|Goose|Honk|Fowl",
    "animal/songbird": _BIRD,
    "animal/bird_call": f"{_BIRD}|Squawk|Crow|Caw|Owl|Hoot|Pigeon, dove|Coo",
    "animal/wolf": "Canidae, dogs, wolves|Howl|Growling|Dog|Whimper (dog)",
    "animal/roar": "Roar|Roaring cats (lions, tigers)|Growling",
    "animal/elephant": "Roar|Roaring cats (lions, tigers)|Wild animals|Trumpet|Animal|Bellow",
    "animal/bellow": f"Bellow|Groan|Moo|Cattle, bovinae|Roar|{_STEER}|Animal|Wild animals",
    "animal/monkey": "Animal|Wild animals|Screaming|Squeal|Squawk|Whoop",
    "animal/frog": "Frog|Croak",
    "animal/insect": "Insect|Cricket|Mosquito|Fly, housefly|Buzz|Bee, wasp, etc.",
    "animal/marine": "Whale vocalization|Animal|Wild animals|Squeal|Sonar",
    "animal/small_mammal": "Rodents, rats, mice|Mouse|Squeak|Animal|Squeal",
    "animal/wings": "Bird flight, flapping wings|Flap|Pigeon, dove|Bird",
    "animal/monster": "Roar|Growling|Roaring cats (lions, tigers)|Snake|Hiss|Screaming|Animal|Wild animals|Groan|Grunt",
    "voice/scream": "Screaming|Wail, moan|Yell|Shout|Crying, sobbing|Groan|Whimper|Baby cry, infant cry"
    "|Children shouting",
    "voice/grunt": "Grunt|Groan|Sigh|Gasp|Wail, moan|Breathing|Shout|Yell|Screaming|Pant|Whimper",
    "voice/laugh": "Laughter|Baby laughter|Giggle|Snicker|Belly laugh|Chuckle, chortle",
    "voice/body": "Cough|Breathing|Snoring|Burping, eructation|Heart sounds, heartbeat|Heart murmur|Throat clearing"
    "|Sneeze|Sniff|Gasp|Pant|Wheeze|Hiccup|Sigh",
    "voice/cheer_applause": "Applause|Cheering|Crowd|Clapping|Whoop|Shout",
    "vehicle/car": f"Car|Motor vehicle (road)|Truck|Bus|Car passing by|Engine starting|Race car, auto racing|{_ENGINE}"
    "|Engine knocking|Motorcycle",
    "vehicle/horn": "Vehicle horn, car horn, honking|Toot|Air horn, truck horn|Foghorn|Honk|Steam whistle|Train horn"
    "|Ship|Whistle|Train whistle",
    "vehicle/train": "Rail transport|Train|Train whistle|Train horn|Railroad car, train wagon|Steam whistle"
    "|Train wheels squealing|Subway, metro, underground|Clickety-clack",
    "vehicle/boat": "Boat, Water vehicle|Sailboat, sailing ship|Rowboat, canoe, kayak|Ship|Creak|Water|Slosh"
    "|Motorboat, speedboat|Waves, surf",
    "vehicle/aircraft": "Aircraft|Aircraft engine|Jet engine|Propeller, airscrew|Helicopter"
    "|Fixed-wing aircraft, airplane",
    "vehicle/tyre_skid": "Skidding|Tire squeal|Squeal",
    "vehicle/siren": "Siren|Police car (siren)|Ambulance (siren)|Fire engine, fire truck (siren)|Emergency vehicle"
    "|Civil defense siren",
    "vehicle/cart": "Rattle|Railroad car, train wagon|Clickety-clack|Creak|Roll|Clatter|Squeak|Skateboard|Vehicle",
    "machine/factory_engine": f"Mechanisms|{_ENGINE}|Vehicle|Pump (liquid)|Engine knocking|Gears|Hum|Throbbing"
    "|Vibration",
    "machine/electric": "Mains hum|Static|Hum|Buzz|Crackle|Noise|White noise|Sizzle|Buzzer"
    "|Electric shaver, electric razor|Electric toothbrush|Printer|Power tool",
    "machine/steam_hiss": "Steam|Hiss|Spray|Sizzle|Frying (food)|White noise|Air brake|Boiling",
    "machine/clock_tick": "Clock|Tick|Tick-tock|Mechanisms|Clicking",
    "machine/appliance": "Vacuum cleaner|Blender|Hair dryer|Microwave oven|Mechanical fan|Air conditioning|Mechanisms"
    "|Boiling|Hum|Whir|Toilet flush|Electric shaver, electric razor",
    "machine/mechanism": "Mechanisms|Gears|Ratchet, pawl|Cash register|Printer|Sewing machine|Clickety-clack|Clock"
    "|Pulleys|Tools|Typewriter|Engine|Whir|Rattle|Creak",
    "bell/large": "Bell|Church bell|Change ringing (campanology)|Gong|Tuning fork|Singing bowl",
    "bell/small": "Bell|Ding|Doorbell|Ding-dong|Chime|Wind chime|Jingle bell|Bicycle bell|Glockenspiel|Tuning fork"
    "|Jingle, tinkle|Clang|Chink, clink",
    "instrument/kick_drum": f"Bass drum|{_DRUM}|Music|Thump, thud",
    "instrument/snare_drum": f"Snare drum|Rimshot|Drum roll|{_DRUM}",
    "instrument/tom_hand_drum": f"Timpani|Tabla|{_DRUM}|Musical instrument|Snare drum|Bass drum",
    "instrument/cymbal": "Cymbal|Hi-hat|Percussion|Drum kit",
    "instrument/small_percussion": "Percussion|Maraca|Tambourine|Rattle (instrument)|Wood block|Clapping"
    "|Finger snapping|Cowbell|Hands|Mallet percussion|Marimba, xylophone|Rattle|Ding|Clang",
    "instrument/guitar": "Guitar|Plucked string instrument|Acoustic guitar|Electric guitar|Bass guitar|Strum"
    "|Banjo|Harp|Zither|Mandolin|Ukulele|Steel guitar, slide guitar|Sitar|Musical instrument|Harpsichord",
    "instrument/keyboard": "Keyboard (musical)|Piano|Electric piano|Organ|Electronic organ|Hammond organ|Harpsichord",
    "instrument/bowed_strings": "Bowed string instrument|String section|Violin, fiddle|Cello|Double bass|Orchestra",
    "instrument/brass": "Brass instrument|French horn|Trumpet|Trombone|Wind instrument, woodwind instrument|Shofar",
    "instrument/woodwind": "Wind instrument, woodwind instrument|Flute|Saxophone|Clarinet|Accordion|Harmonica|Bagpipes"
    "|Didgeridoo",
}  # fmt: skip

TAGS: dict[str, frozenset[str]] = {name: frozenset(tags.split("|")) for name, tags in _TAGS.items()}
"""Class of the taxonomy -> AudioSet display names that count as hearing it."""


def heard(sound_class: str, top: Sequence[str] | Iterable[str]) -> bool:
    """Whether one of these AudioSet names means this class; ValueError for a class that is not in the taxonomy."""
    if sound_class not in TAGS:
        raise ValueError(f"{sound_class!r} is no class of the taxonomy; see reasound.evaluation.tags.TAGS")
    return not TAGS[sound_class].isdisjoint(top)
