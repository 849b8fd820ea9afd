/// Words and their stems, generated with NLTK 3.10.4's PorterStemmer in the mode that follows Porter's own later program
/// (MARTIN_EXTENSIONS): the examples of the 1980 paper, and words of four public collections chosen so that every suffix
/// of the algorithm occurs.
let porterVocabulary = """
    1199:1199 1826:1826 285:285 2b:2b 2xx:2xx 582:582 802:802 9020:9020 a455:a455 abilian:abilian absence:absenc
    abstractjaragent:abstractjarag acceptably:accept accesible:acces accessible:access accomplishing:accomplish
    acidification:acidif activate:activ adjacent:adjac adjustable:adjust adjustment:adjust adoption:adopt advocate:advoc
    affordable:afford aggressiveness:aggress agitation:agit agreed:agre airliner:airlin alarms:alarm alinp:alinp allelism:allel
    allowance:allow almonds:almond alphabetically:alphabet always:alwai alzip:alzip ambitious:ambiti analogousli:analog
    anaplastic:anaplast angeli:ang angiogenic:angiogen angulariti:angular antibodies:antibodi anticonvulsant:anticonvuls
    antiseptics:antisept anxiousness:anxious apology:apolog appears:appear approximate:approxim archival:archiv
    aredeclarationflagsidentical:aredeclarationflagsident asc:asc assesses:assess assessment:assess assurance:assur
    assures:assur asyncgenerator:asyncgener atomically:atom attenuating:attenu attractiveness:attract auscultation:auscult
    authenticate:authent authenticity:authent autoimmune:autoimmun automorphism:automorph aversive:avers avidity:avid
    avoidance:avoid backing:back backup:backup ball:ball bei:bei berries:berri biharmonic:biharmon biocompatibility:biocompat
    biologically:biolog biopython:biopython biotechnology:biotechnolog bitoperation:bitoper blastula:blastula bled:bled
    bosses:boss bowdlerize:bowdler brivanlou:brivanl bsap:bsap bullies:bulli bypassed:bypass bypasses:bypass calli:calli
    callousness:callous calories:calori cantons:canton capitalize:capit carcass:carcass cardioexcitatory:cardioexcitatori
    caress:caress caresses:caress cats:cat causally:causal cd103:cd103 cease:ceas censored:censor cfss:cfss chambers:chamber
    chartseriesgenerator:chartseriesgener child:child childrens:children chimera:chimera chloride:chlorid clarifications:clarif
    classes:class cleansecomments:cleansecom cleaved:cleav clog:clog cohesiveness:cohes coincubation:coincub
    collaborative:collabor colocalization:coloc colonization:colon communicate:commun communism:commun commutator:commut
    comparably:compar competitiveness:competit compositional:composit comprehender:comprehend conditional:condit
    configparser:configpars confinement:confin conflated:conflat conformabli:conform confound:confound congruent:congruent
    connectionexception:connectionexcept conscientiousness:conscienti consciousness:conscious conservative:conserv
    considerably:consider consist:consist contemporaneous:contemporan contextualize:contextu contributed:contribut
    controll:control controlled:control convenience:conveni conversational:convers cooperative:cooper correctness:correct
    corresponded:correspond cotranscriptional:cotranscript cotransduced:cotransduc cottonseed:cottonse
    countercurrent:countercurr counterregulation:counterregul countvectorizer:countvector covariance:covari creation:creation
    critic:critic critically:critic cruciferous:crucifer cur:cur curative:cur cynicism:cynic cytochemical:cytochem
    deadenylation:deadenyl deals:deal debits:debit decades:decad decalcifying:decalcifi decisiveness:decis decliners:declin
    deduplicate:dedupl defendant:defend defensible:defens definiteness:definit delicate:delic denormalize:denorm denver:denver
    dependent:depend depletional:deplet depolarisation:depolaris depreciation:depreci depress:depress deserialize:deseri
    desirable:desir detailed:detail deviance:devianc devnull:devnul diets:diet differentli:differ digestible:digest
    digitizer:digit dimorphism:dimorph dimsize:dimsiz diolistic:diolist disappearance:disappear discernible:discern
    disengagement:disengag dismutases:dismutas dissipate:dissip disulphide:disulphid doitlive:doitliv dormant:dormant
    dorsalize:dorsal dotgenerator:dotgener drug:drug duplicate:duplic dyserythropoietic:dyserythropoiet dysfunctional:dysfunct
    eavesdropping:eavesdrop economies:economi eds:ed eed:eed effective:effect effectiveness:effect elasticity:elast
    electrical:electr electrically:electr electriciti:electr electromagnetic:electromagnet element:element embolism:embol
    embryology:embryolog emphasize:emphas emulator:emul endocrinology:endocrinolog enhancement:enhanc
    epidemiological:epidemiolog equalization:equal eradicate:erad erroneous:erron et:et ethnicities:ethnic
    ethnopharmacologists:ethnopharmacologist evaporation:evapor everything:everyth exceed:exce execfile:execfil
    executing:execut executive:execut experience:experi extracted:extract extroverted:extrovert eye:ey failing:fail
    falling:fall favorably:favor fecundity:fecund feed:feed feudalism:feudal filing:file filterfalse:filterfals fitness:fit
    fizzed:fizz flashed:flash flexibly:flexibl flib:flib flicker:flicker fluence:fluenc forcibly:forcibl forks:fork
    formalism:formal formaliti:formal formalize:formal formative:form fruitful:fruit gambiae:gambia gcall:gcall
    generalism:gener genitorectal:genitorect genotoxicity:genotox geology:geologi geometry:geometri getelement:getel
    getparser:getpars gimm:gimm gl7:gl7 glycosylation:glycosyl goodness:good gous:gou graceful:grace
    granulomatosis:granulomatosi grevlex:grevlex guess:guess guidance:guidanc gyroscopic:gyroscop haiti:haiti hall:hall
    happy:happi harness:har heed:heed heggelia:heggelia heks:hek helicity:helic helpful:help helpfulness:help
    hepatotoxicity:hepatotox hesitanci:hesit heterozygosity:heterozygos hexasomes:hexasom hissing:hiss historically:histor
    holo:holo homologou:homolog homologous:homolog hopeful:hope hopefulness:hope hopping:hop hourly:hourli
    httpresponse403:httpresponse403 humble:humbl hyperproliferative:hyperprolif hypervigilance:hypervigil hypotonia:hypotonia
    igf:igf illnesses:ill imagemanager:imagemanag immortalize:immort immunocompetence:immunocompet immunoreactive:immunoreact
    immunosuppressant:immunosuppress immunotherapies:immunotherapi implantation:implant implements:implement important:import
    impractical:impract improvement:improv inactivity:inact inclusive:inclus incredibly:incred increment:increment
    incurably:incur indecisiveness:indecis indeed:inde indexofnth:indexofnth indicate:indic individualize:individu
    inducing:induc inductance:induct industrialised:industrialis inextricably:inextric infectiousness:infecti inference:infer
    influenced:influenc influenzae:influenza informant:inform initializing:initi initialstate:initialst insufficient:insuffici
    insulator:insul interpretability:interpret interprets:interpret interrelated:interrel intestinal:intestin
    intracortical:intracort intricate:intric ints:int invalidoperation:invalidoper invasiveness:invas inventiveness:invent
    invisibly:invis ion:ion irreversible:irrevers irreversibly:irrevers irritant:irrit isomorphism:isomorph issuance:issuanc
    ivgtts:ivgtt jeopardize:jeopard jovial:jovial jsonldgenerator:jsonldgener judgement:judgement juice:juic
    karyotypically:karyotyp ketogenesis:ketogenesi labour:labour lanzhou:lanzhou legionnaires:legionnair legitimate:legitim
    libpath:libpath linearsegmentedcolormap:linearsegmentedcolormap linseed:linse lipophilicity:lipophil live:live liveli:live
    localization:local ly6g:ly6g magnifying:magnifi makebidirectional:makebidirect manipulate:manipul manipulation:manipul
    marek:marek mbts:mbt meaningfulness:meaning mecp1:mecp1 medial:medial memoizer:memoiz mercator:mercat merhigh:merhigh
    metabolizer:metabol meticulous:meticul mglurs:mglur microbiology:microbiolog microenvironment:microenviron
    microorganism:microorgan migrating:migrat miles:mile mindfulness:mind mineralization:miner misses:miss mitigating:mitig
    modifiable:modifi moduledirectory:moduledirectori monooxygenase:monooxygenas monovalent:monoval month:month
    morphant:morphant motoring:motor multimorbidity:multimorbid multinational:multin multiparous:multipar multiplicity:multipl
    multiprocesses:multiprocess mutational:mutat mutual:mutual myelinating:myelin myelopoiesis:myelopoiesi
    myeloproliferative:myeloprolif myofilament:myofila myotubes:myotub narrower:narrow native:nativ nb4:nb4 negative:neg
    neuritis:neuriti neurog3:neurog3 neuroinvasive:neuroinvas neuropathies:neuropathi neurophysiology:neurophysiolog
    neutralization:neutral neutralize:neutral nonactive:nonact nonalcoholic:nonalcohol noncomputational:noncomput
    nonconventional:nonconvent noncyclical:noncycl nondeterminism:nondetermin nondeterministic:nondeterminist
    nonhomologous:nonhomolog nonpharmacological:nonpharmacolog nonpregnant:nonpregn nonsequence:nonsequ nonsurgical:nonsurg
    nontransfectable:nontransfect normality:normal normalize:normal null:null nun:nun nup84:nup84 nurse:nurs
    obsolescence:obsolesc ocean:ocean oncogenicity:oncogen operational:oper operator:oper opiate:opiat opportunities:opportun
    organisational:organis organizational:organiz organizer:organ originall:original ose:os ostensibly:ostens osterix:osterix
    ou:ou overexpression:overexpress overtreatment:overtreat ox:ox p450c17:p450c17 pailgunservice:pailgunservic painful:pain
    palettize:palett papanicolaou:papanicola parseentity:parseent passivation:passiv pathogenicity:pathogen patron:patron
    pelagic:pelag perforation:perfor pergolide:pergolid permeabilization:permeabil persistence:persist pfizer:pfizer
    pharmacology:pharmacolog pharyngeal:pharyng phylogenetically:phylogenet pianoroll:pianorol pickleserializer:pickleseri
    pipelining:pipelin plastered:plaster platformcompatible:platformcompat plausibility:plausibl playback:playback
    pointer:pointer politencnico:politencnico polypharmacology:polypharmacolog polypill:polypil ponies:poni porous:porou
    possibly:possibl potential:potenti potentiated:potenti pou:pou practically:practic preamble:preambl precisely:precis
    predication:predic pregestational:pregest preparecall:preparecal prepubescent:prepubesc pretranslational:pretransl
    prevailed:prevail probably:probabl probate:probat proceed:proce processpoolexecutor:processpoolexecutor procurement:procur
    professionalism:profession prognostically:prognost protoplast:protoplast prototypic:prototyp prowess:prowess psa:psa
    publically:public qd:qd quantifies:quantifi radicalli:radic radiosensitizer:radiosensit radiusgrid:radiusgrid
    randomizing:random ranelate:ranel rate:rate rational:ration rdf2:rdf2 reading:read realism:realism
    reapportionment:reapportion recognizer:recogn recombinational:recombin reconstitution:reconstitut refinement:refin
    regularization:regular reinitialize:reiniti reintegrate:reintegr relational:relat remnant:remnant repetitions:repetit
    replace:replac replacement:replac replacer:replac reportable:report responsible:respons responsibly:respons
    retryable:retryabl revascularization:revascular reversibly:revers revival:reviv rgs1:rgs1 ribulose:ribulos rigorous:rigor
    roll:roll rot2d:rot2d s9:s9 sadness:sad saturday:saturdai saxony:saxoni say:sai section:section seedling:seedl seful:seful
    segment:segment selective:select semiology:semiolog semiquantitative:semiquantit sensibiliti:sensibl sensitive:sensit
    sensitiviti:sensit sensitize:sensit serializer:serial serology:serolog serotyping:serotyp
    setcurrentprocessexplicitappusermodelid:setcurrentprocessexplicitappusermodelid setheader:sethead setuptools:setuptool
    shell:shell shell32:shell32 signaler:signal silicate:silic similar:similar sing:sing siniossoglou:siniossogl sizable:sizabl
    sized:size skepticism:skeptic skilful:skil skin:skin sky:sky smoothness:smooth snail:snail socialization:social
    soundness:sound specialism:special specialize:special speed:speed spherically:spheric ssim:ssim stat4:stat4 stds:std
    stereological:stereolog stereotypical:stereotyp stiffnesses:stiff stochasticity:stochast subconcussive:subconcuss
    suitability:suitabl suitably:suitabl suppurative:suppur surpasses:surpass susceptibility:suscept susceptible:suscept
    suzhou:suzhou swharden:swharden synapsed:synaps synchrony:synchroni tanned:tan tanner:tanner tdecs:tdec
    teratogenicity:teratogen terference:terfer thoughtful:thought ties:ti tolerance:toler tolerant:toler topology:topolog
    totipotent:totipot transcriptional:transcript transitfeed:transitfe transnational:transnat transnationalism:transnation
    triplehelical:triplehel triplicate:triplic troubled:troubl ttss:ttss unaccentuate:unaccentu unaryoperator:unaryoper
    unavoidably:unavoid unconsciousness:unconsci undisputable:undisput unfaithful:unfaith unfavourable:unfavour
    unicodedata:unicodedata unoxidized:unoxid unreachable:unreach unresponsiveness:unrespons unverified:unverifi urate:urat
    usefulness:us valenci:valenc varaible:varaibl vegetables:veget vested:vest vietnamization:vietnam vileli:vile
    virological:virolog virtualizable:virtualiz visualization:visual visualize:visual vulnerable:vulner wakefulness:wake
    wariness:wari wars:war wasteful:wast webelement:webel wellness:well willingness:willing withmultiplicity:withmultipl
    xmin2:xmin2 yes:ye you:you yy:yy zeroed:zero zfill:zfill zhou:zhou
    """
