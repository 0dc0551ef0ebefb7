#!/usr/bin/env python3
"""Writes the shop's .csv files from source/*.txt; the same input always gives the same files.

    python3 make_data.py

The texts (titles, descriptions, policies, glossary) are written by hand in source/. This script adds what a shop's
computer would know: creators, publishers, prices, stock, customers, orders, parcels and returns. Dates count back
from TODAY; after.sql moves them to the real today when the database is built.
"""

import csv
import random
import re
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
TODAY = date(2026, 11, 15)
CALLERS = ("web-user", "user123", "alice", "bob")

GENRES = {
    "ac": ("action", "fighting, battle, martial arts", "Fights, chases and narrow escapes."),
    "ad": ("adventure", "journey, quest, exploration, travel", "Journeys to places nobody has drawn on a map."),
    "co": ("comedy", "funny, humour, humor, laugh", "Stories to laugh at, loudly or quietly."),
    "dr": ("drama", "emotional, family, sad, touching", "People, decisions and what they cost."),
    "fa": ("fantasy", "magic, magical", "Magic, dragons and kingdoms that never were."),
    "fo": ("food", "cooking, cuisine, chef, gourmet, kitchen", "Cooking, eating and everybody round the table."),
    "hi": ("historical", "history, period, old Japan", "Stories set in a real past."),
    "ho": ("horror", "scary, creepy, terrifying, spooky", "Stories that should not be read at night, and are."),
    "is": ("isekai", "another world, reincarnation, reborn, portal", "Somebody from our world lands in another."),
    "me": ("mecha", "giant robots, robot pilots", "Giant machines and the people inside them."),
    "mu": ("music", "band, songs, musician, orchestra", "Bands, orchestras and one stubborn instrument."),
    "my": ("mystery", "detective, crime, whodunit, puzzle", "A riddle, clues and a solution."),
    "ps": ("psychological", "mind games, disturbing, mind", "What happens inside a mind under pressure."),
    "ro": ("romance", "love story, romantic, dating, couple", "Love, found, lost or mislaid."),
    "sc": ("school", "high school, students, classroom", "Classrooms, clubs and exams."),
    "sf": ("science fiction", "sci-fi, scifi, sf, future", "Space, machines and futures."),
    "sl": (
        "slice of life",
        "everyday life, cosy, cozy, relaxing, heartwarming, calm",
        "Everyday moments, closely watched.",
    ),
    "sp": ("sports", "sport, match, team, athlete", "Training, rivals and the match that matters."),
    "su": ("supernatural", "yokai, paranormal", "Ghosts, gods and spirits among us."),
    "th": ("thriller", "suspense, tension, crime", "Danger with a clock running."),
}
# What a story is about, found by the words of its title and description; one word may stand for several.
THEMES = {
    "animals": "cats? dogs? bears? tortoise hedgehog penguin rabbits? squirrels? mice whales? octopus goose wombat chicken hamster "
    "elephant horse racehorse fox foxes wol(f|ves) crows? parrot snail fish goldfish dinosaurs dragonfl(y|ies) firefl(y|ies) "
    "bees? frogs bats goats? camel tanuki hives beehives seabirds falcon(er)? swallows moth swan",
    "sea, ocean": "sea seas ocean harbou?r ships? boats? island islands islet islets ferry lighthouse fisherm[ae]n whaling divers? pirates? "
    "beach tide mermaid submarine docks pier navy captain underwater",
    "family": "mothers? fathers? grandmothers? grandfathers? grandma grandson sons? daughters? sisters? brothers? twins family "
    "cousins? aunt stepfather parents? grandchildren",
    "friendship": "friends? friendship befriends? strangers neighbours? together club crew",
    "robots, artificial intelligence": "robots? android machines? mechanical automaton algorithm computer clones?",
    "space travel, outer space": "space orbit planets? moonbase starships? asteroid station andromeda comet meteor spaceship colony",
    "ghosts": "ghosts? haunted dead dies died spirits?",
    "gods, myths, folklore": "gods? goddess demons? kappa tanuki kitsune folklore shrine genie",
    "monsters": "monsters? kaiju vampires? werewolf dragons? slime goblins? zombies?",
    "war": "wars? wartime army soldiers? siege battle",
    "crime": "murders? murdered murderer assassins? killers? gangs? gangsters? thie(f|ves) steals? stolen forger heist yakuza hitman police",
    "time travel, time loop": "relives reliving time-lost centuries",
    "winter, snow": "winters? snow snowed-in snowbound ice blizzard frozen freezing",
    "summer": "summers? heat beach fireworks",
    "grief, loss": "widow widower widowed late funeral died dead death ashes grief mourns lost vanished missing",
    "work, office": "office clerk boss job salaryman accountant colleagues overtime call-centre manager workers?",
    "travel, journey": "journey road caravan travels? trains? pilgrims? pilgrimage expeditions? sails? rails? walks?",
    "books, reading, writing": "books? library librarian novels? novelist letters? write writes diary poet grimoire",
    "art": "paints? painter painting draws? artist sculptor calligraph(er|y) photographer cartoonist manga",
    "growing old": "retired retirement old eighty-year-old ninety-one pension elderly",
}
READERS = {"ko": "kodomo", "sn": "shonen", "sj": "shojo", "se": "seinen", "jo": "josei"}
RATINGS = {"a": "all", "t": "teen", "m": "mature"}

FAMILY = """Amagiri Kurosato Minazuki Tsukishiro Hoshimura Asanagi Shirabane Kazehaya Tobimatsu Yukigaya Natsukawa
Orihata Hanamori Sagiri Tokonatsu Mizushiro Aomine Kagerou Hizaki Wakatake Sumizome Narukami Isonami Akebono Umibe
Tachikaze Komorebi Shigure Fukatani Otonashi Ryuzaka Momose Kirigaya Hatsushima Ubukata Ikezawa Sarashina Torikai
Yamabuki Kusakabe""".split()
GIVEN = """Haruka Ren Kohei Mio Satsuki Toru Nagisa Yoichi Akari Shun Fumi Itsuki Reiko Daigo Hinata Masumi Kaede
Rokuro Chihiro Jun Mayu Tatsuo Sora Umeko Kenta Ritsu Aoi Genzo Tsubaki Minoru Hisako Leo Natsume Eiji Wakana Isamu
Yuzu Kiyoshi Botan Shizuka""".split()
BIOS = [
    "draws at night and sleeps through every deadline but the real one",
    "was a train conductor before the first prize in a magazine contest",
    "works in ink and brush only and has never owned a tablet",
    "began with self-published comics sold from a bicycle basket",
    "taught school for ten years and still draws on anything that lies still",
    "is known for quiet endings and very good food",
    "lives on a small island with two dogs and one telephone",
    "came to manga from stage design, and it shows in every doorway",
    "started as an assistant and redrew one bridge forty times",
    "writes the last page first",
    "collects old maps and puts one into every story",
    "has not given an interview since the debut and answers fans by postcard",
]
PUBLISHERS = [
    "Paper Crane Press",
    "Ninth Moon",
    "Inkwell & Tide",
    "Lantern House",
    "Hinoki Books",
    "Red Seal Comics",
    "Tall Tree Manga",
    "Harbor Light Editions",
    "Blue Kettle Press",
    "Sparrow & Pine",
]

PEOPLE = """Maya Lindqvist;Tomas Okafor;Priya Raman;Jonas Weber;Elena Petrova;Marcus Reed;Sofia Alvarez;Liam Byrne;
Amara Diallo;Noah Fischer;Chloe Martin;Diego Santos;Hannah Kim;Oliver Grant;Zara Haddad;Ethan Cole;Ingrid Solberg;
Mateo Rossi;Nia Thompson;Lucas Moreau;Freya Hansen;Samuel Osei;Leila Karimi;Owen Murphy;Isabel Costa;Felix Braun;
Ruby Chen;Adrian Novak;Mina Park;Gabriel Silva;Tessa Vries;Kofi Mensah;Julia Nowak;Henry Walsh;Aisha Rahman;Daniel Levy;
Clara Jensen;Victor Popescu;Lena Schmidt;Isaac Bell;Rosa Marino;Theo Laurent;Yara Nasser;Patrick Doyle;Emilia Kovacs;
Simon Brandt;Grace Adeyemi;Hugo Bernard;Nora Eriksen;Rafael Ortiz;Wendy Zhang;Arthur Blake;Pia Lehmann;Omar Farouk;
Stella Conti;Jasper Quinn""".replace("\n", "").split(";")
CITIES = [
    ("Portland", "OR", "97205", "US"),
    ("Seattle", "WA", "98104", "US"),
    ("Austin", "TX", "78702", "US"),
    ("Chicago", "IL", "60614", "US"),
    ("Boston", "MA", "02116", "US"),
    ("Denver", "CO", "80203", "US"),
    ("Madison", "WI", "53703", "US"),
    ("Savannah", "GA", "31401", "US"),
    ("Toronto", "ON", "M5V 2T6", "CA"),
    ("Vancouver", "BC", "V6B 1A1", "CA"),
    ("Dublin", None, "D02 X285", "IE"),
    ("Hamburg", None, "20095", "DE"),
]
STREETS = [
    "Maple Street",
    "Alder Way",
    "Harbor Road",
    "Juniper Lane",
    "Mill Street",
    "Orchard Avenue",
    "Station Road",
    "Willow Court",
    "Cedar Street",
    "Larkspur Drive",
    "Quarry Hill",
    "Bridge Street",
]


def themes(text):
    """Returns the themes whose words `text` contains, as one line."""
    found = [
        theme for theme, words in THEMES.items() if re.search(rf"\b({'|'.join(words.split())})\b", text, re.IGNORECASE)
    ]
    return ", ".join(found) or None


def lines(name, fields):
    """Returns the rows of source/<name>.txt, each split at '|' into exactly `fields` fields."""
    rows = []
    for number, line in enumerate((HERE / "source" / f"{name}.txt").read_text("utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            row = [field.strip() for field in line.split("|")]
            if len(row) != fields:
                raise SystemExit(f"{name}.txt:{number}: {len(row)} fields, {fields} expected")
            rows.append(row)
    return rows


def write(name, header, rows):
    """Writes data/<name>.csv; None becomes an empty field, which the seed reads as NULL."""
    with open(HERE / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows([["" if value is None else value for value in row] for row in rows])


def make_titles(rng):
    """Returns (authors, titles, title_genres). A creator stays with one main genre and has a handful of titles."""
    names = [f"{given} {family}" for family in FAMILY for given in GIVEN]
    rng.shuffle(names)
    authors, by_genre = [], defaultdict(list)

    def creator(genre):
        known = [a for a in by_genre[genre] if a["room"] > 0]
        if known and rng.random() < 0.72:
            chosen = rng.choice(known)
        else:
            chosen = {"id": len(authors) + 1, "name": names.pop(), "room": rng.choice([2, 3, 3, 4, 5, 6])}
            authors.append(chosen)
            by_genre[genre].append(chosen)
        chosen["room"] -= 1
        return chosen["id"]

    titles, links = [], []
    for number, (title, rating, reader, codes, text) in enumerate(lines("titles", 5), 1):
        genres = codes.split(",")
        author = creator(genres[0])
        artist = author if rng.random() < 0.7 else creator(genres[0])
        young = reader == "ko"
        status = rng.choices(["ongoing", "complete", "one-shot", "announced"], [34, 50, 12, 4])[0]
        volumes = {"one-shot": 1, "announced": 1}.get(status) or min(
            38, 2 + int(rng.expovariate(1 / (4 if young else 7)))
        )
        year = TODAY.year + 1 if status == "announced" else rng.randint(1988 if status == "complete" else 2012, 2026)
        if status == "ongoing":
            year = max(year, TODAY.year - volumes)
            volumes = max(2, min(volumes, (TODAY.year - year + 1) * 4))
        price = rng.choice([699, 799, 899, 999] if young else [899, 999, 999, 1099, 1099, 1199, 1299, 1399])
        if rating == "m":
            price += 300
        if status == "one-shot":
            price += rng.choice([0, 400, 700])
        stock = (
            0
            if status == "announced" or rng.random() < 0.12
            else rng.choice([1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 24, 30])
        )
        release = TODAY + timedelta(days=rng.randint(20, 150)) if status == "announced" else None
        if release:
            year = release.year
        titles.append(
            {
                "id": number,
                "title": title,
                "author_id": author,
                "artist_id": artist,
                "publisher": rng.choice(PUBLISHERS),
                "demographic": READERS[reader],
                "age_rating": RATINGS[rating],
                "language": "Japanese" if rng.random() < 0.05 else "English",
                "first_year": year,
                "volumes": volumes,
                "status": status,
                "price_cents": price,
                "stock": stock,
                "reader_rating": round(min(4.9, max(3.1, rng.gauss(4.15, 0.38))), 1),
                "release_on": release,
                "themes": themes(f"{title} {text}"),
                "description": text,
            }
        )
        links += [(number, GENRES[code][0]) for code in genres]
    bios = [(a["id"], a["name"], f"{a['name']} {rng.choice(BIOS)}.") for a in authors]
    return bios, titles, sorted(links)


def make_customers(rng):
    """Returns the customers. web-user and user123 are adults, alice too, bob is fifteen; one birth year is unknown."""
    people = [
        ("web-user", "Robin Hale", 1991),
        ("user123", "Kim Sanders", 1987),
        ("alice", "Alice Moreno", 1995),
        ("bob", "Bob Whitaker", TODAY.year - 15),
    ]
    for number, name in enumerate(PEOPLE, 201):
        people.append(
            (f"c{number}", name, rng.choice([None] + [rng.randint(1955, 2004)] * 9 + [rng.randint(2009, 2013)] * 2))
        )
    rows = []
    for who, name, born in people:
        city, region, code, country = CITIES[0] if who in CALLERS else rng.choice(CITIES)
        rows.append(
            {
                "id": who,
                "name": name,
                "email": f"{name.lower().replace(' ', '.')}@example.com",
                "birth_year": born,
                "street": f"{rng.randint(2, 980)} {rng.choice(STREETS)}",
                "city": city,
                "region": region,
                "postal_code": code,
                "country": country,
                "joined_on": TODAY - timedelta(days=rng.randint(420, 2600)),
                "loyalty_points": 0,
            }
        )
    return rows


def planned_orders():
    """Returns what the four named callers have: one order for each thing that can be asked. (days ago, status, volumes)"""
    plan = []
    for who in CALLERS:
        plan += [
            (who, 1, "processing", 2),
            (who, 4, "shipped", 3),
            (who, 9, "delivered", 6),
            (who, 14, "delivered", 2),
            (who, 21, "delivered", 8),
            (who, 95, "delivered", 4),
            (who, 60, "cancelled", 1),
            (who, 120, "returned", 2),
        ]
    return plan


def make_orders(rng, titles, customers):
    """Returns (orders, order_items, shipments, returns, return_items), ids rising with the day of the order."""
    plan = planned_orders()
    others = [c["id"] for c in customers if c["id"] not in CALLERS]
    while len(plan) < 224:
        ago = rng.choice([rng.randint(1, 40), rng.randint(20, 360)])
        status = (
            "processing"
            if ago <= 1
            else "shipped" if ago <= 5 else rng.choices(["delivered", "cancelled", "returned"], [82, 8, 10])[0]
        )
        plan.append((rng.choice(others), ago, status, rng.choice([1, 1, 2, 2, 3, 4, 5, 7])))
    plan.sort(key=lambda entry: -entry[1])

    by_id = {c["id"]: c for c in customers}
    out_now = [t for t in titles if t["status"] != "announced"]
    orders, items, shipments, returns, return_items = [], [], [], [], []
    for number, (who, ago, status, count) in enumerate(plan, 10001):
        customer, order_id, placed = by_id[who], f"MA-{number}", TODAY - timedelta(days=ago)
        age = TODAY.year - customer["birth_year"] - 1 if customer["birth_year"] else 13
        allowed = [
            t for t in out_now if t["age_rating"] == "all" or t["age_rating"] == "teen" and age >= 13 or age >= 18
        ]
        total, line, left, seen = 0, 0, count, set()
        mine = []
        while left:
            title = rng.choice(allowed)
            if title["id"] in seen:
                continue
            seen.add(title["id"])
            first = rng.randint(1, title["volumes"])
            for volume in range(first, min(title["volumes"], first + min(left, rng.choice([1, 2, 3])) - 1) + 1):
                line, left = line + 1, left - 1
                quantity = 2 if rng.random() < 0.04 else 1
                mine.append((len(items) + 1, order_id, line, title["id"], volume, quantity, title["price_cents"]))
                items.append(mine[-1])
                total += quantity * title["price_cents"]
        abroad = customer["country"] != "US"
        method = "international" if abroad else "express" if rng.random() < 0.15 else "standard"
        fee = {"international": 1490, "express": 1190}.get(method, 0 if total >= 4500 else 490)
        orders.append(
            (
                order_id,
                who,
                status,
                placed,
                method,
                fee,
                customer["street"],
                customer["city"],
                customer["region"],
                customer["postal_code"],
                customer["country"],
            )
        )
        if status in ("shipped", "delivered", "returned"):
            shipped = placed + timedelta(days=1)
            eta = shipped + timedelta(days=11 if abroad else 2 if method == "express" else 5)
            delivered = (
                None
                if status == "shipped"
                else min(eta, TODAY - timedelta(days=1)) - timedelta(days=rng.choice([0, 0, 1]))
            )
            if status == "shipped":
                eta = max(eta, TODAY + timedelta(days=1))
            carrier, prefix = rng.choice([("Crane Post", "CP"), ("Northline Parcel", "NL"), ("Harbor Express", "HX")])
            shipments.append((order_id, carrier, f"{prefix}{rng.randint(10**8, 10**9 - 1)}US", shipped, eta, delivered))
            if status == "delivered":
                customer["loyalty_points"] += total // 100
        if status == "returned":
            asked = delivered + timedelta(days=rng.randint(1, 6))
            returns.append(
                (
                    len(returns) + 1,
                    order_id,
                    rng.choice(["damaged", "wrong_item", "changed_mind", "other"]),
                    None,
                    "refunded",
                    total,
                    asked,
                    min(TODAY, asked + timedelta(days=9)),
                    None,
                )
            )
            return_items += [(row[0], len(returns)) for row in mine]
    return orders, items, shipments, returns, return_items


def main():
    rng = random.Random(20261115)
    authors, titles, links = make_titles(rng)
    customers = make_customers(rng)
    orders, items, shipments, returns, return_items = make_orders(rng, titles, customers)
    write("authors", ["id", "name", "bio"], authors)
    write("genres", ["name", "also", "description"], sorted(GENRES.values()))
    write("titles", list(titles[0]), [list(t.values()) for t in titles])
    write("title_genres", ["title_id", "genre"], links)
    write("customers", list(customers[0]), [list(c.values()) for c in customers])
    write(
        "orders",
        [
            "id",
            "customer_id",
            "status",
            "placed_on",
            "shipping_method",
            "shipping_cents",
            "ship_street",
            "ship_city",
            "ship_region",
            "ship_postal_code",
            "ship_country",
        ],
        orders,
    )
    write("order_items", ["id", "order_id", "line", "title_id", "volume", "quantity", "unit_cents"], items)
    write("shipments", ["order_id", "carrier", "tracking", "shipped_on", "eta_on", "delivered_on"], shipments)
    write(
        "returns",
        ["id", "order_id", "reason", "details", "status", "amount_cents", "requested_on", "refunded_on", "request_key"],
        returns,
    )
    write("return_items", ["order_item_id", "return_id"], return_items)
    write(
        "policies",
        ["id", "topic", "keywords", "text"],
        [[number, *row] for number, row in enumerate(lines("policies", 3), 1)],
    )
    write(
        "knowledge",
        ["id", "term", "aliases", "kind", "text"],
        [[number, *row] for number, row in enumerate(lines("knowledge", 4), 1)],
    )


if __name__ == "__main__":
    main()
