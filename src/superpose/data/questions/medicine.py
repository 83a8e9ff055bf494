"""Questions on common conditions, answered as a clinic card.

The facts are textbook knowledge of the plainest kind; they serve to train a style, not to advise.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from superpose.data.domain import Row
from superpose.data.questions.fact import Subject, pick

__all__ = ["subjects"]

# condition | where | signs | cause | first care | test | who sees it
_TABLE = """
asthma|airways|wheezing, tight chest|inflamed airways|a reliever inhaler|spirometry|pulmonology
bronchitis|airways|a lasting cough|a viral infection|rest and fluids|a chest exam|pulmonology
pneumonia|lungs|fever, cough|a lung infection|antibiotics|a chest X-ray|pulmonology
tuberculosis|lungs|cough, night sweats|mycobacteria|combined antibiotics|sputum culture|pulmonology
emphysema|lungs|short breath|smoking|stopping smoking|spirometry|pulmonology
pleurisy|lung lining|sharp chest pain|an inflamed pleura|pain relief|a chest X-ray|pulmonology
sleep apnea|throat|loud snoring|a blocked airway|a CPAP mask|a sleep study|pulmonology
influenza|airways|fever, aching muscles|influenza virus|rest and fluids|a nose swab|family medicine
the common cold|nose|sneezing, runny nose|rhinoviruses|rest and fluids|a plain exam|family medicine
croup|larynx|a barking cough|a viral infection|a steroid dose|a plain exam|pediatrics
measles|skin|fever, red rash|measles virus|supportive care|an antibody test|pediatrics
mumps|salivary glands|swollen cheeks|mumps virus|pain relief|an antibody test|pediatrics
chickenpox|skin|itchy blisters|varicella virus|soothing lotion|a plain exam|pediatrics
scarlet fever|skin|sandpaper rash|streptococci|penicillin|a throat swab|pediatrics
strep throat|throat|a sore throat|streptococci|penicillin|a throat swab|family medicine
tonsillitis|tonsils|painful swallowing|infected tonsils|pain relief|a throat exam|otolaryngology
sinusitis|sinuses|facial pressure|blocked sinuses|saline rinses|a nasal exam|otolaryngology
otitis media|middle ear|ear pain|trapped fluid|pain relief|otoscopy|otolaryngology
tinnitus|ear|ringing in the ears|inner ear damage|sound therapy|a hearing test|otolaryngology
Meniere disease|inner ear|spinning, ringing|excess fluid|less salt|a hearing test|otolaryngology
earwax blockage|ear canal|muffled hearing|packed wax|softening drops|otoscopy|otolaryngology
hay fever|nose|sneezing, itchy eyes|pollen allergy|antihistamines|a skin prick test|allergology
hives|skin|itchy welts|an allergic reaction|antihistamines|a skin exam|allergology
eczema|skin|dry, itchy patches|a weak skin barrier|moisturizers|a skin exam|dermatology
psoriasis|skin|scaly plaques|an immune reaction|steroid cream|a skin exam|dermatology
acne|skin|pimples, blackheads|clogged pores|benzoyl peroxide|a skin exam|dermatology
rosacea|face|flushed cheeks|reactive vessels|metronidazole gel|a skin exam|dermatology
ringworm|skin|a ring-shaped rash|a fungus|antifungal cream|a skin scraping|dermatology
athlete's foot|feet|itchy, cracked toes|a fungus|antifungal cream|a skin scraping|dermatology
scabies|skin|night itching|burrowing mites|permethrin cream|a skin scraping|dermatology
impetigo|skin|honey-colored crusts|skin bacteria|antibiotic ointment|a skin swab|dermatology
shingles|nerves|a painful band of blisters|varicella virus|antivirals|a skin exam|dermatology
cold sores|lips|small lip blisters|herpes simplex|antiviral cream|a blister swab|dermatology
common warts|skin|rough bumps|papillomavirus|salicylic acid|a skin exam|dermatology
vitiligo|skin|pale patches|loss of pigment cells|steroid cream|a lamp exam|dermatology
cellulitis|skin|hot, swollen skin|skin bacteria|antibiotics|a skin exam|dermatology
hypertension|arteries|often no signs|stiff arteries|less salt|a blood pressure reading|cardiology
angina|heart|chest pressure|narrowed arteries|nitroglycerin|a stress test|cardiology
heart failure|heart|swollen ankles, short breath|a weak heart|diuretics|an echocardiogram|cardiology
atrial fibrillation|heart|an uneven pulse|faulty signals|blood thinners|an ECG|cardiology
pericarditis|heart lining|chest pain lying down|inflammation|ibuprofen|an echocardiogram|cardiology
varicose veins|legs|bulging veins|weak vein valves|compression stockings|an ultrasound|angiology
deep vein thrombosis|leg veins|a swollen calf|a blood clot|blood thinners|an ultrasound|angiology
anemia|blood|tiredness, pale skin|low iron|iron tablets|a blood count|hematology
hemophilia|blood|long bleeding|a missing clotting factor|factor infusions|a clotting test|hematology
sickle cell disease|blood|pain crises|altered hemoglobin|hydroxyurea|a hemoglobin test|hematology
leukemia|bone marrow|bruising, infections|mutated cells|chemotherapy|a marrow biopsy|hematology
type 1 diabetes|pancreas|thirst, weight loss|lost insulin cells|insulin|a glucose test|endocrinology
type 2 diabetes|metabolism|thirst|insulin resistance|diet, metformin|an A1c test|endocrinology
hypothyroidism|thyroid|tiredness, feeling cold|low hormone|levothyroxine|a TSH test|endocrinology
Graves disease|thyroid|bulging eyes, fast pulse|antibodies|methimazole|a TSH test|endocrinology
Addison disease|adrenal glands|weakness|low cortisol|hydrocortisone|an ACTH test|endocrinology
acromegaly|pituitary|large hands|excess growth hormone|surgery|an IGF-1 test|endocrinology
gout|joints|a hot, swollen toe|uric acid crystals|colchicine|joint fluid analysis|rheumatology
osteoarthritis|joints|stiff, aching knees|worn cartilage|exercise|a joint X-ray|rheumatology
rheumatoid arthritis|joints|morning stiffness|immune attack|methotrexate|a blood test|rheumatology
lupus|whole body|a butterfly rash|immune antibodies|hydroxychloroquine|an ANA test|rheumatology
osteoporosis|bones|easy fractures|bone loss|bisphosphonates|a bone density scan|endocrinology
rickets|bones|bowed legs|low vitamin D|vitamin D|a bone X-ray|pediatrics
tennis elbow|elbow|outer elbow pain|strained tendons|rest, exercises|a plain exam|orthopedics
plantar fasciitis|heel|morning heel pain|a strained fascia|stretching|a foot exam|orthopedics
carpal tunnel syndrome|wrist|numb fingers|a squeezed nerve|a wrist splint|nerve conduction|neurology
sciatica|lower back|leg pain|a pressed nerve root|staying active|a leg raise test|neurology
scoliosis|spine|uneven shoulders|a curved spine|a brace|a spine X-ray|orthopedics
migraine|head|one-sided headache|nerve overactivity|triptans|a plain exam|neurology
epilepsy|brain|seizures|abnormal discharges|antiseizure drugs|an EEG|neurology
Parkinson disease|brain|tremor, slow movement|lost dopamine cells|levodopa|a movement exam|neurology
multiple sclerosis|nerves|numbness, blurred sight|damaged myelin|immune drugs|an MRI scan|neurology
stroke|brain|a drooping face|a blocked artery|clot-dissolving drugs|a CT scan|neurology
meningitis|brain lining|fever, stiff neck|bacteria|antibiotics|a spinal tap|neurology
Bell palsy|face|one-sided drooping|a swollen facial nerve|steroids|a nerve exam|neurology
acid reflux|esophagus|heartburn|a loose valve|antacids|endoscopy|gastroenterology
peptic ulcer|stomach|burning pain|Helicobacter pylori|antibiotics|endoscopy|gastroenterology
celiac disease|small bowel|bloating|a reaction to gluten|no gluten|a biopsy|gastroenterology
Crohn disease|bowel|cramps, diarrhea|an immune reaction|steroids|colonoscopy|gastroenterology
lactose intolerance|bowel|gas after milk|low lactase|less milk|a breath test|gastroenterology
gallstones|gallbladder|pain after fat meals|hardened bile|surgery|an ultrasound|gastroenterology
hepatitis B|liver|yellow skin|hepatitis B virus|antivirals|an antigen test|gastroenterology
appendicitis|appendix|pain at the lower right|a blocked appendix|surgery|an ultrasound|surgery
inguinal hernia|groin|a groin bulge|a weak muscle wall|surgery|a plain exam|surgery
kidney stones|kidneys|waves of flank pain|mineral crystals|fluids, pain relief|a CT scan|urology
cystitis|bladder|burning urination|gut bacteria|antibiotics|a urine culture|urology
glaucoma|eye|narrowed sight|raised eye pressure|pressure drops|tonometry|ophthalmology
cataract|eye lens|cloudy sight|an aging lens|lens surgery|a slit-lamp exam|ophthalmology
conjunctivitis|eye|red, sticky eyes|a virus|cold compresses|an eye exam|ophthalmology
"""


class _Condition(NamedTuple):
    """One line of the table."""

    name: str
    site: str
    signs: str
    cause: str
    care: str
    test: str
    clinic: str


# Column of the table -> ways to ask for it, and the card's word for it.
_ASPECTS = {
    "site": (
        ("Which part of the body does {name} affect?", "Where in the body is {name} found?"),
        "Site",
    ),
    "signs": (
        ("What are the typical signs of {name}?", "How does {name} usually show itself?"),
        "Usual signs",
    ),
    "cause": (
        ("What usually causes {name}?", "What lies behind most cases of {name}?"),
        "Usual cause",
    ),
    "care": (
        ("How is {name} first treated?", "What is a usual first treatment for {name}?"),
        "First care",
    ),
    "test": (
        ("How do doctors confirm {name}?", "Which test helps to diagnose {name}?"),
        "Usual test",
    ),
}


def subjects(chance: Random) -> list[Subject]:
    """86 conditions with five questions each."""
    conditions = [_Condition(*line.split("|")) for line in _TABLE.strip().splitlines()]
    return [tuple(_row(aspect, each, chance) for aspect in _ASPECTS) for each in conditions]


def _row(aspect: str, condition: _Condition, chance: Random) -> Row:
    """One aspect of a condition, asked in one of its wordings."""
    wordings, word = _ASPECTS[aspect]
    question = pick(chance, wordings).format(name=condition.name)
    fact = getattr(condition, aspect)
    answer = f"{word} of {condition.name}: {fact}. It is a matter for {condition.clinic}."
    return Row(question, answer)
